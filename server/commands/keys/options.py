"""The arguments of `tureen keys`."""

import argparse
from pathlib import Path

from server.access.principal import SCOPES

ABOUT = """\
Make and revoke the API keys of a server. A key is shown once, when it is made; the file keeps a hash of it.
A running server takes changes over within two seconds. Each change is recorded in FILE.audit.
"""

EXAMPLES = """\
examples:
  tureen keys add alice --keys keys.json               a key that may send images
  tureen keys add scraper --keys keys.json --scope metrics --expires 90d
  tureen keys add bulk --keys keys.json --rate 20 --in-flight 8 --weight 0.5
  tureen keys rotate alice --keys keys.json            a new secret; the old one works for a day
  tureen keys revoke alice --keys keys.json
  tureen serve --host 0.0.0.0 --keys keys.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the four acts, each with its arguments."""
    acts = parser.add_subparsers(title="acts", dest="act", metavar="ACT", required=True)
    add = _act(acts, "add", "make a key and show it, this once")
    add.add_argument("--scope", action="append", choices=list(SCOPES), help="what it may do; repeatable (infer)")
    add.add_argument("--expires", metavar="TIME", help="how long it works: 12h, 90d (for ever)")
    add.add_argument("--rate", type=_positive, metavar="NUMBER", help="images per second (the server's client_rate)")
    add.add_argument("--burst", type=_count, metavar="NUMBER", help="images at once (one second of the rate)")
    add.add_argument("--in-flight", type=_count, metavar="NUMBER", help="images under way (client_images)")
    add.add_argument("--weight", type=_positive, default=1.0, help="its share of the queue under overload (1)")
    listing = acts.add_parser("list", help="show all keys, without their secrets", allow_abbrev=False)
    _add_file(listing)
    _act(acts, "revoke", "remove a key")
    rotate = _act(acts, "rotate", "give a key a new secret and show it, this once")
    rotate.add_argument("--grace", metavar="TIME", default="24h", help="how long the old secret works on (24h)")


def _act(acts: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str) -> argparse.ArgumentParser:
    parser = acts.add_parser(name, help=text, allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="letters, digits, dots, dashes and underscores")
    _add_file(parser)
    return parser


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keys", type=Path, required=True, metavar="FILE", help="the key file")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1000000")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
