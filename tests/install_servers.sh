#!/bin/sh
# The real servers that some tests put Tureen beside or behind: installed where missing, if this user may.
# `install_servers.sh long`: with what only the tests marked long need.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in nginx:nginx-light wrk:wrk redis-server:redis-server systemd-analyze:systemd prometheus:prometheus openssl:openssl \
  npm:npm java:openjdk-17-jdk-headless promtool:prometheus chromium:chromium podman:podman buildah:buildah runc:runc mmdebstrap:mmdebstrap \
  faketime:faketime; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
# Clients whose pins clash with this project's have an environment each.
root=$(cd "$(dirname "$0")/.." && pwd)
clients=triton
[ "${1:-}" != long ] || clients="triton kserve"
for client in $clients; do
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
# What `tureen export-web` takes from npm, and an OpenID Connect provider.
for pair in web:tests/page/runtime provider:tests/security/provider; do
  from=$root/${pair#*:} to=$root/.venvs/${pair%%:*}
  cmp -s "$from/package-lock.json" "$to/package-lock.json" && [ -d "$to/node_modules" ] && continue
  mkdir -p "$to"
  cp "$from"/package*.json "$from/.npmrc" "$to/"
  (cd "$to" && npm ci --silent)
done
