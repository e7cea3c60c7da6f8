"""The words after `tureen tune`."""

from pathlib import Path

import pytest

from server.commands.tune.options import parse
from server.settings import SettingsError


def refusal(*argv, environ=None):
    with pytest.raises(SettingsError) as caught:
        parse(argv, environ or {})
    return list(caught.value.problems)


def test_nothing_asked_for_is_a_minute_of_the_demo_model():
    """With the promise that serve would make."""
    options = parse([], {})

    assert (None, 1.0, 60.0, False, None) == (
        options.settings.model, options.settings.slo, options.budget_s, options.quick, options.plot,
    )  # fmt: skip


def test_what_serve_is_told_counts_here_too(tmp_path):
    """A flag before a variable; the model by its place."""
    model = tmp_path / "m.onnx"
    model.touch()

    settings = parse(["--slo", "2s", str(model)], {"TUREEN_SLO": "3s", "TUREEN_WORKERS": "2"}).settings

    assert (2.0, 2, model) == (settings.slo, settings.worker.workers, settings.model)


@pytest.mark.parametrize(
    ("argv", "budget_s"),
    [([], 60.0), (["--quick"], 10.0), (["--quick", "--budget", "5"], 5.0), (["--budget=2m"], 120.0)],
)
def test_budget(argv, budget_s):
    """Quick is short, unless told."""
    assert budget_s == parse(argv, {}).budget_s


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--budget", "0"], "budget = '0' (flag --budget): must be a duration from 1s to 1h"),
        (["--budget", "x"], "budget = 'x' (flag --budget): must be a duration from 1s to 1h; that is not a number"),
        (["--plot", "a.pdf"], "plot = 'a.pdf' (flag --plot): must be a file whose name ends in .svg or .png"),
        (["--plot", "/x/a.svg"], "plot = '/x/a.svg' (flag --plot): must be in a folder that is there; there is no /x"),
        (["--port", "80"], "--port (command line): tureen tune has no such flag or argument"),
        (
            ["--workers", "-1"],
            "workers = '-1' (flag --workers): must be a whole number of at least 0; that is not a number",
        ),
    ],
)
def test_mistake_names_setting_value_and_rule(argv, problem):
    """In the words of serve's own."""
    assert problem in refusal(*argv)


def test_all_mistakes_are_told_at_once():
    """Those of tune's own flags, and those of settings."""
    assert ["budget", "plot", "slo"] == [text.split()[0] for text in refusal("--budget=x", "--plot=y", "--slo=z")]


def test_gpu_is_not_tuned():
    """Nor is the CPU in its place: that must be said."""
    (problem,) = refusal(environ={"TUREEN_PROVIDER": "cuda"})

    assert problem.startswith("provider = 'cuda': must be auto or cpu for tureen tune")


def test_plot_may_be_drawn_into_this_folder():
    """A bare name is a path."""
    assert Path("layouts.svg") == parse(["--plot", "layouts.svg"], {}).plot
