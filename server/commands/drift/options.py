"""The arguments of `tureen drift`."""

import argparse
from pathlib import Path

from server.commands.server_arguments import add_server_arguments

ABOUT = """\
Compare live images and answers with a reference that is saved with the version.
"""

EXAMPLES = """\
examples:
  tureen drift reference food 3                        of the next 2000 images that the server looks at
  tureen drift reference food 3 --models models/ --store /var/lib/tureen
                                                       of images that are kept
  tureen drift report food
  tureen drift report food --html drift.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the two acts."""
    acts = parser.add_subparsers(title="acts", dest="act", metavar="ACT", required=True)
    reference = acts.add_parser("reference", help="make and save a reference", allow_abbrev=False)
    reference.add_argument("name", metavar="NAME", help="the model")
    reference.add_argument("version", metavar="VERSION")
    reference.add_argument("--looks", type=int, default=2000, help="images to make it of (2000)")
    reference.add_argument("--store", metavar="URL", help="take images that are kept: a folder or s3://...")
    reference.add_argument("--s3-endpoint", default="", metavar="URL", help="of a server compatible with S3")
    reference.add_argument("--models", type=Path, metavar="DIR", help="the folder of models, with --store")
    add_server_arguments(reference)
    report = acts.add_parser("report", help="show how the last windows compare", allow_abbrev=False)
    report.add_argument("name", metavar="NAME", help="the model")
    shown = report.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print JSON")
    shown.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    add_server_arguments(report)
