"""A folder of models: what is in it, and what a name may be."""

import hashlib

import pytest

from server.models.errors import ModelError
from server.repository.errors import RepositoryError
from server.repository.folder import Folder


@pytest.fixture
def folder(tmp_path):
    """Two models, and what is none."""
    for version in ("food/9", "food/10", "safety/1", "empty", ".hidden/1", "a b/1", "food/golden"):
        (tmp_path / version).mkdir(parents=True)
        if "/" in version and "golden" not in version:
            (tmp_path / version / "model.onnx").write_bytes(version.encode())
    return Folder(tmp_path)


def test_models_and_versions_are_found(folder):
    """Versions by number; what has no version, or no name that a client could send, is no model."""
    assert ["food", "safety"] == folder.names()
    assert ["9", "10"] == folder.versions("food")


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "food/9", "food\0", "", ".", "x" * 65, "a\n", "ü", "-x"])
def test_a_name_never_leads_elsewhere(folder, name):
    """What is not the form of a name is not looked for."""
    assert [] == folder.versions(name)
    with pytest.raises(ModelError):
        folder.locate(name, "1")
    with pytest.raises(ModelError):
        folder.locate("food", name)


def test_the_card_says_which_version_is_the_default(folder):
    """Else it is the highest."""
    assert "10" == folder.default_version("food")
    (folder.path / "food" / "model.toml").write_text('default_version = "9"')

    assert "9" == folder.default_version("food")


def test_a_default_that_is_not_there_is_refused(folder):
    """With what there is."""
    (folder.path / "food" / "model.toml").write_text('default_version = "7"')

    with pytest.raises(ModelError, match="there is 9, 10"):
        folder.default_version("food")


def test_files_are_checked_by_their_sums(folder):
    """As `sha256sum` writes them."""
    version = folder.path / "food" / "9"
    sums = version / "SHA256SUMS"
    sums.write_text(f"{hashlib.sha256(b'food/9').hexdigest()}  model.onnx\n")
    assert version / "model.onnx" == folder.locate("food", "9").model_file

    (version / "model.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match="SHA256SUMS says"):
        folder.locate("food", "9")


@pytest.mark.parametrize("line", ["no line", f"{'0' * 64}  ../../secret", f"{'0' * 64}  missing"])
def test_sums_that_make_no_sense_are_refused(folder, line):
    """Nothing outside of the version is opened for them."""
    (folder.path / "food" / "9" / "SHA256SUMS").write_text(line)

    with pytest.raises(ModelError):
        folder.locate("food", "9")


def test_a_version_that_is_replaced_has_another_mark(folder):
    """That is how a watched folder is seen to change."""
    before = folder.marks()
    (folder.path / "food" / "9" / "model.onnx").write_bytes(b"longer than before")

    assert before["food"]["10"] == folder.marks()["food"]["10"]
    assert before["food"]["9"] != folder.marks()["food"]["9"]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    """With its name."""
    with pytest.raises(RepositoryError, match="nowhere"):
        Folder(tmp_path / "nowhere").names()
