"""Golden images: when an answer is as expected, and what is said where it is not."""

import pytest

from server.repository.errors import RepositoryError
from server.repository.golden import Golden, difference, read_golden, read_image, write_golden, write_to

CLASSES = {"predictions": [{"label": "cat", "score": 0.7}, {"label": "dog", "score": 0.2}]}
SCORE = {"score": 3.5, "label": "fair"}
RAW = {"outputs": {"boxes": [[0.0, 10.0], [20.0, 100.0]]}}


def scores(*pairs):
    return {"predictions": [{"label": label, "score": score} for label, score in pairs]}


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (CLASSES, CLASSES),
        (CLASSES, scores(("cat", 0.705), ("dog", 0.195))),
        (CLASSES, scores(("cat", 0.7), ("bird", 0.2))),  # the second and third have changed places
        (SCORE, {"score": 3.49}),
        (RAW, {"outputs": {"boxes": [[0.5, 10.0], [20.0, 99.5]]}}),
    ],
)
def test_an_answer_within_the_tolerance_is_as_expected(expected, got):
    """Scores by their difference, raw values by a part of the largest."""
    assert "" == difference(expected, got, 0.01)


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        (CLASSES, scores(("dog", 0.7), ("cat", 0.2)), "the best class is 'dog', expected 'cat'"),
        (CLASSES, scores(("cat", 0.6), ("dog", 0.2)), "cat is 0.6, expected 0.7 within 0.01"),
        (CLASSES, scores(("cat", 0.7), ("bird", 0.05)), "dog is 0.05, expected 0.2 within 0.01"),
        (CLASSES, {"predictions": []}, "the best class is 'nothing', expected 'cat'"),
        (CLASSES, SCORE, "the answer has no predictions"),
        (SCORE, {"score": 3.6}, "score is 3.6, expected 3.5 within 0.01"),
        (SCORE, {"score": float("nan")}, "score is nan, expected 3.5 within 0.01"),
        (RAW, {"outputs": {"boxes": [[0.0, 10.0], [20.0, 98.0]]}}, "output boxes is off by 2, allowed 1"),
        (RAW, {"outputs": {"boxes": [0.0]}}, "output boxes has 1 values, expected 4"),
        (RAW, {"outputs": {}}, "output boxes has 0 values, expected 4"),
        (SCORE, {"score": None}, "score is nan, expected 3.5 within 0.01"),  # JSON has null for what is not a number
        (CLASSES, scores(("cat", None)), "cat is nan, expected 0.7 within 0.01"),
    ],
)
def test_what_differs_is_said(expected, got, said):
    """In a few words, with both values."""
    assert said == difference(expected, got, 0.01)


def test_a_version_may_have_answers_of_its_own(tmp_path):
    """Other versions keep the model's."""
    (tmp_path / "golden").mkdir()
    (tmp_path / "2").mkdir()
    write_golden(tmp_path, Golden({"a.jpg": CLASSES}, 0.01))
    write_to(tmp_path / "2" / "golden.json", Golden({"a.jpg": CLASSES}, 0.05))

    assert [0.01, 0.01, 0.05] == [read_golden(tmp_path, version).tolerance for version in ("", "1", "2")]


def test_the_file_is_read_as_it_was_written(tmp_path):
    """And a model without one has no golden images."""
    assert read_golden(tmp_path) is None
    (tmp_path / "golden").mkdir()
    write_golden(tmp_path, Golden({"a.jpg": CLASSES}, 0.05))

    assert Golden({"a.jpg": CLASSES}, 0.05) == read_golden(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"images": {}, "tolerence": 1}'])
def test_a_damaged_file_is_no_golden_file(tmp_path, text):
    """A check that is skipped by mistake is none."""
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "golden.json").write_text(text)

    with pytest.raises(RepositoryError, match="damaged"):
        read_golden(tmp_path)


def test_no_image_is_read_from_elsewhere(tmp_path):
    """Whatever the file says."""
    with pytest.raises(RepositoryError, match="must be a file of the folder"):
        read_image(tmp_path, "../secret")
