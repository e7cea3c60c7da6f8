#!/bin/sh
# sh upload.sh http://127.0.0.1:8080 photo.jpg: an upload by curl.
# The server says when to come back in Retry-After, and curl obeys it.
set -eu
curl --silent --show-error --fail-with-body --retry 3 --max-time 10 \
  --header "Authorization: Bearer ${TUREEN_KEY:-}" --header "X-Request-Timeout-Ms: 2000" \
  --data-binary "@$2" "$1/v1/images"
