"""The documents stay short and plain: words are counted, sentences measured, links followed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [
    *sorted((ROOT / "docs").rglob("*.md")),
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
]
MOST_IN_README, MOST_IN_SENTENCE = 1_500, 25

# Words, as `wc -w` counts them. Whoever adds a capability adds a line, of at most 1,200.
BUDGET = {
    "all documents when they were rewritten": 20_000,
    "odd images, odd models, hostile clients": 1_500,
    "cache, store and records": 1_800,
    "disks, clocks, deletion under way, what storing and shadows cost": 400,
    "queues, the spool, replay": 1_200,
    "keys, tokens, limits and shares": 1_200,
    "TLS and the admin port": 300,
    "attacks and their tests": 600,
    "protocols and clients": 1_200,
    "the page, traces, metrics, the prediction log": 1_200,
    "alerts and the runbook": 1_200,
    "several models, versions and their change": 1_200,
    "rollouts, experiments, drift": 1_500,
    "uploads as they arrive, paced refusals, trusted proxies": 500,
    "packages, pipelines, small machines, browsers, Ray": 1_200,
    "optimising models": 1_000,
    "several web processes and GPUs": 900,
    "traces of every protocol, what TLS costs, other servers beside": 500,
    "privacy, owners of images, redaction, shared rates": 900,
}

# What the old prose said, and what it says now.
AVOIDED = {
    "the order of the day": "common",
    "order of an end": "graceful shutdown",
    "what comes of it": "the result",
    "done without": "skipped",
    "goes before": "takes precedence over",
    "means nothing on": "has no effect on",
    "told nothing": "default options",
    "nothing told": "default options",
    "the roof": "the ceiling",
    "an error of ONNX Runtime's": "an ONNX Runtime error",
    "hear the client out": "linger",
    "costs less a request": "costs less per request",
    "images a second": "images per second",
}


def words(path):
    """Count as `wc -w` does."""
    return len(path.read_text(encoding="utf-8").split())


def sentences(text):
    """Give the sentences of the prose: no code, no tables, no headings; a list's item ends one."""
    prose = re.sub(r"^```.*?^```$", "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^(?:\||#).*$", "\n\n", prose, flags=re.MULTILINE)
    prose = re.sub(r"^\s*[-*] ", "\n\n", prose, flags=re.MULTILINE)
    prose = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", prose)  # a link is its text
    prose = re.sub(r"`[^`]*`", "code", prose)  # and code is one word
    for paragraph in re.split(r"\n\s*\n", prose):
        yield from (sentence for sentence in re.split(r"(?<=[.!?:;])\s+", paragraph.strip()) if sentence)


def test_readme_is_read_in_five_minutes():
    """What does not fit belongs into docs."""
    assert words(README) <= MOST_IN_README


def test_the_documents_are_short():
    """All of them together, measurements included."""
    count = {path.relative_to(ROOT).as_posix(): words(path) for path in DOCUMENTS}

    assert sum(count.values()) <= sum(BUDGET.values()), count


def test_readme_has_no_long_sentence():
    """A reader who is not a native speaker follows each at once."""
    long = [one for one in sentences(README.read_text(encoding="utf-8")) if len(one.split()) > MOST_IN_SENTENCE]

    assert long == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_document_falls_back_into_the_dialect(path):
    """Each phrase has a plain one."""
    text = " ".join(path.read_text(encoding="utf-8").split())

    assert {phrase: plain for phrase, plain in AVOIDED.items() if phrase in text} == {}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    """To a file, and to a heading of it where one is named."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text(encoding="utf-8")):
        name, _, heading = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not heading or heading in anchors(file), target


def anchors(path):
    """Give the headings of a document as links name them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(path):
    """Paths of tests and modules in documents do not outlive a move."""
    tops = ("tests", "server", "batcher", "preprocess", "benchmarks", "docs", "deploy")
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|svg|toml))`", text))

    missing = {
        name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "tests", path.parent))
    }

    assert {name for name in missing if name.split("/")[0] in tops or name.endswith(".py")} == set()


# ---- The counting itself ----


def test_sentences_are_told_apart():
    """By their ends, by list items and by paragraphs; code and tables are none."""
    text = "# A heading\n\nOne `a.b` [two](x.md). Three?\n\n- four\n- five: six\n\n```\nno. no.\n```\n| no. | no |\n"

    assert ["One code two.", "Three?", "four", "five:", "six"] == list(sentences(text))
