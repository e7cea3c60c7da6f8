"""The command line is read whole, and a mistake is said before anything is measured."""

import pytest

from server.commands.bench.options import EXAMPLES, parse

URL = "http://127.0.0.1:8080"


def test_the_defaults():
    """A closed loop of 32 connections, and a promise of one second."""
    options = parse([URL])

    assert ((), 32, 10.0, 1.0, 0.99, 5.0) == (
        options.rates,
        options.connections,
        options.duration_s,
        options.slo_s,
        options.quantile,
        options.timeout_s,
    )


def test_an_open_loop_has_connections_enough():
    """As many as it takes, up to a bound."""
    assert [1000, 1000, 7] == [
        parse([URL, *words]).connections
        for words in (["--rate", "5"], ["--find-capacity"], ["--rate", "5", "--connections", "7"])
    ]


def test_units_and_lists():
    """As everywhere in Tureen."""
    options = parse(
        [URL, "--rate", "10,2.5", "--slo", "250ms", "--duration", "1m", "--warmup", "0", "--header", "A: b"]
    )

    assert ((10.0, 2.5), 0.25, 60.0, 0.0, [("A", "b")]) == (
        options.rates,
        options.slo_s,
        options.duration_s,
        options.warmup_s,
        options.headers,
    )
    assert 2.0 == options.timeout_s


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rate", "0"], "must be above 0, got 0"),
        (["--rate", "10,x"], "'x' is not a number"),
        (["--rate", "inf"], "must be above 0, got inf"),
        (["--rate", "nan"], "must be above 0, got nan"),
        (["--slo", "1 parsec"], "unit 'parsec' is unknown"),
        (["--duration", "0"], "must be above 0"),
        (["--quantile", "99"], "at most 1"),
        (["--connections", "0"], "at least 1"),
        (["--processes", "-1"], "at least 1"),
        (["--header", "x"], "no header"),
        (["--find-capacity", "--rate", "1,2"], "one --rate"),
        (["--expect", "a.json"], "--images"),
        (["--arrivals", "bursts"], "poisson"),
    ],
)
def test_a_mistake_is_named(words, said, capsys):
    """With what would have been right."""
    with pytest.raises(SystemExit) as ended:
        parse([URL, *words])

    assert 2 == ended.value.code
    assert said in capsys.readouterr().err


def test_the_examples_are_commands():
    """Each of them is understood as it stands."""
    lines = [line.strip().split("  ")[0] for line in EXAMPLES.splitlines() if line.startswith("  tureen bench")]

    assert len(lines) >= 5
    assert all(parse(line.split()[2:]) for line in lines)
