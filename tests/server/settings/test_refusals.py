"""What a refusal says."""

import pytest

from server.settings import SettingsError, load_settings
from tests.server.settings.refusal import refusal


def test_a_bad_flag_is_named_with_value_origin_and_rule():
    """Name, value, origin, rule: all that is needed to mend it."""
    expected = "port = '99999' (flag --port): must be a whole number from 0 to 65535"

    assert [expected] == refusal(["--port", "99999"])


def test_a_bad_variable_is_named_with_value_origin_and_rule():
    """The origin is the variable, not the setting."""
    expected = "max_batch = '0' (variable TUREEN_MAX_BATCH): must be a whole number from 1 to 1024"

    assert [expected] == refusal(environ={"TUREEN_MAX_BATCH": "0"})


def test_a_bad_key_is_named_with_value_origin_and_rule(toml):
    """The origin is the key and its file."""
    path = toml("[worker]\nworkers = -1")

    assert [f"workers = -1 (key worker.workers in {path}): must be a whole number of at least 0"] == refusal(
        ["--config", path]
    )


def test_a_bad_value_that_is_overridden_is_not_looked_at():
    """What does not count cannot be wrong."""
    assert load_settings(["--port", "1"], {"TUREEN_PORT": "x"}).port == 1


def test_an_unknown_variable_is_refused_with_a_guess():
    """A misspelt variable must not be ignored in silence; its value, perhaps a secret, is not shown."""
    expected = "TUREEN_MAX_BACH (environment): no such setting; did you mean TUREEN_MAX_BATCH?"

    assert [expected] == refusal(environ={"TUREEN_MAX_BACH": "s3cret"})


def test_an_unknown_key_is_refused_with_a_guess(toml):
    """A misspelt key neither."""
    path = toml("[worker]\nwokers = 3")

    expected = f"worker.wokers (key in {path}): no such setting; did you mean worker.workers?"
    assert [expected] == refusal(["--config", path])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workers = 3", "workers (key in {}): belongs in the table [worker]"),
        ("[queue]\nport = 3", "queue.port (key in {}): belongs in the top of the file"),
        ("upload = 3", "upload (key in {}): is a table: [upload]"),
        ("[gallery]\nbucket = 3", "gallery (key in {}): no such setting"),
    ],
)
def test_a_key_in_the_wrong_place_is_told_where_it_belongs(toml, text, expected):
    """A table is a topic; a key in another is not read in silence."""
    path = toml(text)

    assert [expected.format(path)] == refusal(["--config", path])


def test_an_unknown_flag_is_refused_with_a_guess():
    """Nor a misspelt flag; its value is not taken for a second mistake."""
    assert refusal(["--prot", "9000"]) == ["--prot (command line): no such flag; did you mean --port?"]


def test_an_abbreviated_flag_is_unknown():
    """Else a script would break on the day a second setting starts alike."""
    assert [line.split(";")[0] for line in refusal(["--max-b", "3"])] == ["--max-b (command line): no such flag"]


def test_a_second_model_is_refused():
    """One is served; the other is not left out in silence."""
    assert refusal(["/tmp", "b.onnx"]) == ["b.onnx (command line): one model is served, not several"]


def test_a_flag_without_a_value_is_refused():
    """The flag is named."""
    assert refusal(["--port"]) == ["argument --port: expected one argument"]


def test_kubernetes_own_variables_are_explained():
    """A Service named tureen puts variables into its pods that look like ours."""
    problems = refusal(environ={"TUREEN_SERVICE_HOST": "10.0.0.1"})

    assert len(problems) == 1
    assert "enableServiceLinks: false" in problems[0]


@pytest.mark.parametrize("text", ["port = ", "port = 1\nport = 2"])
def test_a_file_that_is_no_toml_is_refused(toml, text):
    """The parser's own words say where it went wrong."""
    path = toml(text)

    (problem,) = refusal(environ={"TUREEN_CONFIG": path})

    assert problem.startswith(f"config = {path!r} (variable TUREEN_CONFIG): must be a TOML file that can be read; ")


@pytest.mark.parametrize("path", ["/no/such/file.toml", "", "/", "a\0b"])
def test_a_file_that_cannot_be_read_is_refused(path):
    """A settings file that was asked for is never left out in silence."""
    (problem,) = refusal(["--config", path])

    assert problem.startswith(f"config = {path!r} (flag --config): must be a TOML file that can be read; ")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    """Bytes are no traceback."""
    (tmp_path / "a.toml").write_bytes(b"host = '\xff'")

    assert len(refusal(["--config", str(tmp_path / "a.toml")])) == 1


def test_all_mistakes_are_reported_at_once(toml):
    """One start, one list: unknown names first, then values in the order of the settings."""
    environ = {"TUREEN_SLO": "0", "TUREEN_NOISE": "1", "TUREEN_CONFIG": toml("noise = 1\n[queue]\nmax_queue = 0")}

    names = [line.split(" ")[0] for line in refusal(["--port=x", "--noise=1"], environ)]

    assert names == ["--noise", "TUREEN_NOISE", "noise", "slo", "port", "max_queue"]


def test_the_message_counts_and_lists_the_mistakes():
    """The error is ready to print."""
    message = str(SettingsError(["a", "b"]))

    assert message == "tureen: 2 settings are wrong:\n  a\n  b"


def test_one_mistake_is_one():
    """Nobody reads "1 settings are"."""
    assert str(SettingsError(["a"])) == "tureen: 1 setting is wrong:\n  a"
