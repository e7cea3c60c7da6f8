"""The arguments of `tureen send`."""

import argparse
from pathlib import Path

ABOUT = """\
Send photos to a server and print its answers, one line each. Folders are searched for images.
Refused photos are sent again when the server says so.
"""

EXAMPLES = """\
examples:
  tureen send photo.jpg
  tureen send photos/ --url https://tureen.example --json > answers.ndjson
  tureen send photo.jpg --deadline 300ms --key "$KEY"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser all arguments."""
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO", help="an image, or a folder of images")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the server (http://127.0.0.1:8080)")
    parser.add_argument("--model", default="", metavar="NAME", help="the model that is to answer (the default one)")
    parser.add_argument("--json", action="store_true", help="print whole answers, a line of JSON each")
    parser.add_argument("--key", default="", help="API key or token")
    parser.add_argument("--deadline", default="", metavar="TIME", help="per photo: 300ms, 2s (the server's own)")
    parser.add_argument("--at-once", type=int, default=8, metavar="N", help="photos under way at a time (8)")
