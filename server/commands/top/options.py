"""The arguments of `tureen top`."""

from argparse import ArgumentParser
from pathlib import Path

ABOUT = """\
Watch a server in a terminal: goodput, latency, queue, refusals, workers and figures, renewed each second. It asks for
/watch, which is where the metrics are: on the admin port, or on the only port of a server on loopback. Ctrl-C ends it.
"""

EXAMPLES = """\
examples:
  tureen top http://127.0.0.1:8080
  tureen top http://10.0.0.7:9091 --key-file ~/.tureen.key    a key with the scope metrics
  tureen top http://127.0.0.1:8080 --once                     print it once and exit
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Give the parser the command's arguments."""
    parser.add_argument("url", metavar="URL", help="address of the server, such as http://127.0.0.1:8080")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file with a key that may read metrics")
    parser.add_argument("--once", action="store_true", help="print it once and exit")
