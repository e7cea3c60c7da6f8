"""python upload_tureen.py http://127.0.0.1:8080 photo.jpg: the Python client, which comes back by itself."""

import os
import sys

from tureen_client import Client

url, photo = sys.argv[1:]
with Client(url, key=os.environ.get("TUREEN_KEY", "")) as client:
    print(client.send(photo, deadline_s=5.0))
