#!/bin/sh
# The real servers that some tests put Tureen beside or behind: installed where missing, if this user may.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in nginx:nginx-light wrk:wrk redis-server:redis-server systemd-analyze:systemd prometheus:prometheus \
  promtool:prometheus chromium:chromium podman:podman buildah:buildah runc:runc mmdebstrap:mmdebstrap; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of packages
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "the tests need these installed (Debian's names):$missing" >&2
  exit 1
fi
