"""Which pictures are sent, and which answers to them are right."""

import io
import json

import pytest
from PIL import Image

from server.commands.bench.pictures import BadInput, expected_labels, own_pictures, pictures_in


def test_its_own_pictures_are_of_three_sizes(tmp_path):
    """Small, medium and from a phone, each as often."""
    paths = own_pictures(tmp_path)

    sizes = [Image.open(io.BytesIO(path.read_bytes())).size for path in paths]
    assert {(320, 240): 6, (1024, 768): 6, (4000, 3000): 6} == {size: sizes.count(size) for size in sizes}
    assert 14 == len(set(paths))


def test_a_folder_is_sent_in_order_without_what_is_no_picture(tmp_path):
    """Notes and folders beside the pictures harm nobody."""
    for name in ("b.JPG", "a.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "c.jpg").mkdir()

    assert ["a.png", "b.JPG"] == [path.name for path in pictures_in(tmp_path)]


def test_a_folder_without_pictures(tmp_path):
    """Or no folder."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput, match="--images"):
            pictures_in(folder)


def test_labels_are_matched_by_name(tmp_path):
    """A picture without one is not checked."""
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({"b.jpg": "soup"}))

    assert [None, "soup"] == expected_labels(file, [tmp_path / "a.jpg", tmp_path / "b.jpg"])


@pytest.mark.parametrize("text", ['{"c.jpg": "soup"}', '["a.jpg"]', '{"a.jpg": 1}', "{}", "{"])
def test_labels_that_cannot_be_meant(text, tmp_path):
    """A slip in a name must not turn the check off."""
    file = tmp_path / "labels.json"
    file.write_text(text)

    with pytest.raises(BadInput, match="--expect"):
        expected_labels(file, [tmp_path / "a.jpg"])
