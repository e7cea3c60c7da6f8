"""The arguments of `tureen ab`."""

import argparse
from pathlib import Path

ABOUT = """\
Report an A/B experiment from the records and outcomes in a store. It may be looked at every day: the bounds hold at
all looks together.
"""

EXAMPLES = """\
examples:
  tureen ab report models/food --store /var/lib/tureen --metric accepted
  tureen ab report models/food --store /var/lib/tureen --metric accepted --html report.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the one act."""
    acts = parser.add_subparsers(title="acts", dest="act", metavar="ACT", required=True)
    report = acts.add_parser("report", help="show what an experiment has found", allow_abbrev=False)
    report.add_argument("model", type=Path, metavar="MODEL", help="the model's folder, with [experiment] in its card")
    report.add_argument("--store", required=True, metavar="URL", help="the store of the server: a folder or s3://...")
    report.add_argument("--s3-endpoint", default="", metavar="URL", help="of a server compatible with S3")
    report.add_argument("--metric", required=True, help="the outcome to report")
    report.add_argument("--uplift", type=_share, default=0.05, help="least relative difference of interest (0.05)")
    report.add_argument("--absent", type=float, metavar="VALUE", help="value for clients without an outcome (left out)")
    shown = report.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print JSON")
    shown.add_argument("--html", type=Path, metavar="FILE", help="write a page with a plot")


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError("must be above 0 and at most 10")
    return value
