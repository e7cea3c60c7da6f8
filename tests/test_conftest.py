"""The rule that a skipped test fails the run, tried on runs of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
ALONE = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # plugins take seconds to load
OPTIONS = ["-p", "no:cacheprovider", "-o", "markers=gpu: needs a GPU"]


def run_pytest(folder, source, *options):
    """Run pytest on one test file beside a copy of our conftest."""
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "test_it.py").write_text(f"import pytest\n{source}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", *OPTIONS, *options, str(folder)]
    return subprocess.run(command, cwd=folder, env=ALONE, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.skip\ndef test_a(): ...",
        "@pytest.mark.skipif(True, reason='')\ndef test_a(): ...",
        "def test_a(): pytest.skip()",
        "def test_b(): ...\ndef test_a(): pytest.importorskip('no_such_module')",
    ],
)
def test_a_skipped_test_fails_the_run(tmp_path, source):
    """However it is skipped, the run is red and says which test it was."""
    run = run_pytest(tmp_path, source)

    assert run.returncode == 1
    assert "SKIPPED, which only a test marked gpu may be: test_it.py::test_a" in run.stdout


def test_a_skipped_module_fails_the_run(tmp_path):
    """A module that leaves while it is collected takes all its tests along."""
    run = run_pytest(tmp_path, "pytest.skip(allow_module_level=True)")

    assert run.returncode != 0
    assert "SKIPPED, which only a test marked gpu may be: test_it.py" in run.stdout


def test_a_skipped_gpu_test_is_fine(tmp_path):
    """Most machines have no GPU."""
    run = run_pytest(tmp_path, "@pytest.mark.gpu\n@pytest.mark.skip\ndef test_a(): ...\ndef test_b(): ...")

    assert run.returncode == 0


def test_an_expected_failure_is_no_skip(tmp_path):
    """It did run."""
    assert run_pytest(tmp_path, "@pytest.mark.xfail\ndef test_a(): assert False").returncode == 0


def test_a_failed_run_stays_failed(tmp_path):
    """A skip does not hide that a run was interrupted."""
    source = "@pytest.mark.skip\ndef test_a(): ...\ndef test_b(): raise KeyboardInterrupt"

    assert run_pytest(tmp_path, source).returncode == pytest.ExitCode.INTERRUPTED


def test_a_run_without_tests_fails(tmp_path):
    """Collecting nothing is not success."""
    assert run_pytest(tmp_path, "").returncode == pytest.ExitCode.NO_TESTS_COLLECTED
