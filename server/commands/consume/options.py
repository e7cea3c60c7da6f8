"""The command line of `tureen consume`: settings of `tureen serve`, and `--queue`."""

import argparse
from collections.abc import Mapping, Sequence

from server.settings import Settings, SettingsError, add_arguments, load_settings
from server.settings.conflicts import check

ABOUT = """\
Answer the images that a queue names, with workers of its own and without HTTP. A message is deleted once its answer is
in the store. On SIGTERM or Ctrl-C, finish what is in hand and exit.

Messages are S3 event notifications (also by SNS or EventBridge), {"bucket": "...", "key": "..."}, or uploads that
`tureen serve --workers 0 --forward` passes on. docs/storage.md describes the guarantees.
"""

EXAMPLES = """\
examples:
  tureen consume food.onnx --queue https://sqs.eu-west-1.amazonaws.com/123456789012/photos --store s3://answers/food
  tureen consume --queue URL --store s3://answers/food --workers 4 --results URL2
  tureen consume --queue kafka://127.0.0.1:9092/photos --store /var/lib/tureen/images

Each flag is also an environment variable and a TOML key, as for `tureen serve`; --queue is `consume` there.
"""

_SHARED = (
    "provider", "workers", "threads", "profile_dir", "max_batch", "max_queue", "max_image_bytes", "max_pixels",
    "max_queue_bytes", "store", "s3_endpoint", "s3_encryption", "redact", "cache", "cache_ttl", "cache_timeout",
    "results", "dead_letters", "consume_in_flight", "consume_tries", "visibility", "sqs_endpoint", "shutdown_timeout",
    "admin_host", "admin_port",
)  # fmt: skip


def add_all_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all arguments. They only collect text: `parse` reads and checks it."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", default=argparse.SUPPRESS,
        help="an .onnx file or a model folder (default: the demo model)",
    )  # fmt: skip
    parser.add_argument("--queue", metavar="URL", default=argparse.SUPPRESS, help="the queue to consume")
    add_arguments(parser, _SHARED)


def parse(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Settings:
    """Read the words after `consume`, and the settings' other sources. Raises `SettingsError`."""
    parser = argparse.ArgumentParser(prog="tureen consume", allow_abbrev=False, exit_on_error=False)
    add_all_arguments(parser)
    known, unknown = parser.parse_known_args(argv)
    if unknown:
        raise SettingsError([f"{word} (command line): tureen consume has no such flag or argument" for word in unknown])
    given = vars(known)
    words = [f"--{name.replace('_', '-')}={given[name]}" for name in ("config", *_SHARED) if name in given]
    words += [f"--consume={given['queue']}"] if "queue" in given else []
    words += ["--", given["model"]] if "model" in given else []
    settings = load_settings(words, environ)
    if not settings.queues.consume:
        raise SettingsError(["consume: needs --queue URL"])
    return check(settings)
