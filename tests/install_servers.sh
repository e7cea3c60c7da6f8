#!/bin/sh
# The real servers that some tests put Tureen beside or behind: installed where missing, if this user may.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in nginx:nginx-light wrk:wrk redis-server:redis-server systemd-analyze:systemd prometheus:prometheus \
  npm:npm java:openjdk-17-jdk-headless promtool:prometheus chromium:chromium podman:podman buildah:buildah runc:runc mmdebstrap:mmdebstrap faketime:faketime; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
# Clients whose pins clash with this project's have an environment each.
root=$(cd "$(dirname "$0")/.." && pwd)
for client in triton; do
  lock=$root/tests/protocols/$client.lock venv=$root/.venvs/$client
  cmp -s "$lock" "$venv/.lock" && continue
  "${PYTHON:-python3}" -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --require-hashes -r "$lock"
  cp "$lock" "$venv/.lock"
done
if [ -z "$missing" ]; then
  :
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of packages
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "the tests need these installed (Debian's names):$missing" >&2
  exit 1
fi
# What `tureen export-web` takes from npm.
cmp -s "$root/tests/page/runtime/package-lock.json" "$root/.venvs/web/package-lock.json" && [ -d "$root/.venvs/web/node_modules" ] && exit 0
mkdir -p "$root/.venvs/web"
cp "$root"/tests/page/runtime/package*.json "$root/tests/page/runtime/.npmrc" "$root/.venvs/web/"
(cd "$root/.venvs/web" && npm ci --silent)
