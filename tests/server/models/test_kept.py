"""A model's files, kept as they were at the start."""

import fcntl
import os
import shutil

import onnx
import pytest
import structlog

from server.models.card import find_model
from server.models.digest import digest
from server.models.errors import ModelError
from server.models.external_data import external_files
from server.models.kept import kept
from tests import models


@pytest.fixture
def base(tmp_path):
    """A folder for copies."""
    base = tmp_path / "tmp"
    base.mkdir()
    return base


@pytest.fixture
def folder(tmp_path):
    """A model's folder with two versions, a card and labels."""
    for version in ("1", "2"):
        with_weights(tmp_path / "food" / version / "model.onnx")
    (tmp_path / "food" / "names").mkdir()
    (tmp_path / "food" / "names" / "labels.txt").write_text("\n".join(map(str, range(10))))
    (tmp_path / "food" / "model.toml").write_text('[output]\nlabels_file = "names/labels.txt"\n')
    return tmp_path / "food"


def with_weights(path):
    """A model whose weights are beside it, in a folder."""
    (path.parent / "weights").mkdir(parents=True, exist_ok=True)
    model = onnx.load(models.dense(path))
    onnx.save(model, path, save_as_external_data=True, location="weights/all.bin", size_threshold=0)
    return path


def all_of(path):
    located = find_model(path)
    return located.card, located.model_file.read_bytes(), digest(located.model_file)


def test_a_file_is_copied_under_its_name(tmp_path, base):
    """What becomes of it later does not matter; the copy goes with the server."""
    path = with_weights(tmp_path / "food.onnx")
    before = all_of(path)

    with kept(path, base) as copy:
        path.write_bytes(b"overwritten")
        shutil.rmtree(tmp_path / "weights")
        assert before == all_of(copy)

    assert [] == list(base.iterdir())


@pytest.mark.parametrize("version", ["", "1"])
def test_a_folder_is_copied_with_its_card_and_the_version_that_is_served(folder, base, version):
    """Not with others."""
    before = all_of(folder / version)

    with kept(folder / version, base) as copy:
        shutil.rmtree(folder)
        assert before == all_of(copy)
        assert [version or "2"] == [child.name for child in copy.parent.iterdir() if child.name.isdigit()]


def test_a_version_that_is_a_link_keeps_its_name(folder, base):
    """As where deployments move a link."""
    (folder / "current").symlink_to("1")

    with kept(folder / "current", base) as copy:
        (folder / "current").unlink()
        assert "current" == find_model(copy).card.version


@pytest.mark.parametrize("name", [b"caf\xe9", b"caf\xe9.onnx"])
def test_a_copy_has_a_name_that_is_text(tmp_path, base, name):
    """A file's name may be any bytes; a path is sent as JSON."""
    path = tmp_path / os.fsdecode(name)
    models.dense(path if path.suffix else path / "1" / "model.onnx")

    with kept(path, base) as copy:
        assert str(copy).isprintable()
        assert find_model(path).card == find_model(copy).card


def test_where_there_is_no_room_only_the_card_is_a_copy(folder, base):
    """And a log line says so. The files are told by their digest."""
    before = all_of(folder)

    with structlog.testing.capture_logs() as logged, kept(folder, base, lambda path: 100) as copy:
        (folder / "model.toml").unlink()
        assert before == all_of(copy)
        assert copy.resolve() == folder / "2"

    assert "bytes are more than a quarter of the 100 that are free in " in logged[0]["reason"]
    assert (folder / "2" / "model.onnx").is_file()


def test_where_no_folder_can_be_made_the_model_is_served_where_it_is(folder):
    """As in a container whose file system is read-only."""
    with structlog.testing.capture_logs() as logged, kept(folder, folder / "missing") as path:
        assert folder == path

    assert "model_not_copied" == logged[0]["event"]


def test_what_is_no_model_is_refused(tmp_path):
    """With its own path, not that of a copy."""
    with pytest.raises(ModelError, match=f"{tmp_path}/none: there is no such file"), kept(tmp_path / "none"):
        pass


def test_copies_of_servers_that_were_killed_are_removed_and_no_others(tmp_path, base):
    """A lock tells whether a server lives."""
    path = models.dense(tmp_path / "m.onnx")
    dead, alive = base / "tureen-model-dead", base / "tureen-model-alive"
    for one in (dead, alive):
        one.mkdir()
        (one / "lock").touch()
    with (alive / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with kept(path, base):
            assert alive in base.iterdir()
            assert dead not in base.iterdir()


def test_weights_beside_the_model_are_found_wherever_a_tensor_may_be(tmp_path):
    """In the graph, in a branch of it, and in an attribute."""
    branch = onnx.helper.make_graph([], "b", [], [], [_outside("branch.bin")])
    nodes = [
        onnx.helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch),
        onnx.helper.make_node("Constant", [], ["z"], value=_outside("sub/constant.bin")),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [], [], [_outside("graph.bin"), _outside("graph.bin")])
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())

    found = [file.relative_to(tmp_path) for file in external_files(path)]

    assert ["branch.bin", "graph.bin", "sub/constant.bin"] == list(map(str, found))


def _outside(location):
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value=location)
    return tensor


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret"])
def test_weights_outside_the_models_folder_are_refused(tmp_path, location):
    """A model file may come from anybody."""
    path = tmp_path / "m.onnx"
    graph = onnx.helper.make_graph([], "g", [], [], [_outside(location)])
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())

    with pytest.raises(ModelError, match="lies outside the model's folder"):
        external_files(path)


@pytest.mark.parametrize("data", [b"", b"words", b"\xff" * 40, b"\x3a\xff\xff\xff\xff\x7f", bytes(range(256))])
def test_what_is_no_model_has_no_weights_beside_it(tmp_path, data):
    """ONNX Runtime will say what is wrong with it."""
    path = tmp_path / "m.onnx"
    path.write_bytes(data)

    assert [] == external_files(path)


def test_every_cut_of_a_model_is_read_without_an_error(tmp_path):
    """A file that is being written has any length."""
    whole = with_weights(tmp_path / "m.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(whole), 7):
        cut.write_bytes(whole[:length])
        external_files(cut)


def test_the_digest_is_of_the_weights_as_well(tmp_path):
    """Else two models would have one name and hash."""
    path = with_weights(tmp_path / "m.onnx")
    before = digest(path)
    weights = tmp_path / "weights" / "all.bin"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    assert before != digest(path)


def test_missing_weights_are_named(tmp_path):
    """Before ONNX Runtime says it at length."""
    path = with_weights(tmp_path / "m.onnx")
    os.unlink(tmp_path / "weights" / "all.bin")

    with pytest.raises(ModelError, match=r"its external data 'weights/all.bin' cannot be read: No such file"):
        digest(path)


def test_a_model_without_external_data_has_the_digest_of_its_file(tmp_path):
    """So that profiles that were measured before count."""
    import xxhash

    path = models.dense(tmp_path / "m.onnx")

    assert xxhash.xxh3_128_hexdigest(path.read_bytes()) == digest(path)
