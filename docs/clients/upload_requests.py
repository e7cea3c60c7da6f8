"""python upload_requests.py http://127.0.0.1:8080 photo.jpg: an upload by requests."""

import os
import sys
import time
from pathlib import Path

import requests

url, photo = sys.argv[1:]
headers = {"X-Request-Timeout-Ms": "2000"}
if key := os.environ.get("TUREEN_KEY"):
    headers["Authorization"] = f"Bearer {key}"

with requests.Session() as session:  # a session keeps its connection
    for _ in range(4):
        reply = session.post(f"{url}/v1/images", data=Path(photo).read_bytes(), headers=headers, timeout=10)
        if reply.status_code not in (429, 503):
            break
        time.sleep(float(reply.headers.get("Retry-After", "1")))
    reply.raise_for_status()
    print(reply.text)
