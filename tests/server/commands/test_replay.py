"""`tureen replay`: figures as a table, and a planted model over a real store."""

import json
import shutil

import msgspec
import pytest

from server import demo
from server.cleanup.item import encode_record, original_name, record_name
from server.cleanup.stores import FolderStore
from server.commands.replay.command import run
from server.commands.replay.compare import Compared, Verdict, same, summary, verdict
from server.contract.ids import derived_uuid7
from tests.photos import photo
from tests.server.cleanup.samples import item

pytestmark = pytest.mark.timeout(120)

COUNT = 24


@pytest.mark.parametrize(
    ("before", "after", "agree"),
    [
        ({"predictions": [{"label": "a", "score": 0.9}]}, {"predictions": [{"label": "a", "score": 0.2}]}, True),
        ({"predictions": [{"label": "a", "score": 0.9}]}, {"predictions": [{"label": "b", "score": 0.9}]}, False),
        ({"score": 3.0, "label": "good"}, {"score": 3.4, "label": "good"}, True),
        ({"score": 3.0}, {"score": 3.00001}, True),
        ({"score": 3.0}, {"score": 3.1}, False),
        ({"outputs": {"x": [1, 2]}}, {"outputs": {"x": [1, 2]}}, True),
        ({"outputs": {"x": [1, 2]}}, {"outputs": {"x": [1, 3]}}, False),
    ],
)
def test_answers_agree_by_what_they_mean(before, after, agree):
    """By the label, else by the score, else in every figure."""
    assert agree == same(before, after)


def test_the_figures_of_several():
    """Those without an answer count for neither side."""
    rows = [
        Compared("1", "o", Verdict("a", 1.0), Verdict("a", 1.5), True, seconds=0.001),
        Compared("2", "o", Verdict("a", 1.0), Verdict("b", 0.0), False, seconds=0.003),
        Compared("3", "o", Verdict("a", 1.0), error="image_corrupt"),
    ]
    total = summary(rows)

    assert (3, 1, 1, {"image_corrupt": 1}) == (total.images, total.same, total.changed, total.failed)
    assert (0.5, -0.25, -1.0) == (total.agreement, total.mean_score_difference, total.largest_score_difference)
    assert [("a", "b", 1)] == list(total.moves)
    assert summary([]).agreement is None


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Stored images, whose records a first replay makes true."""
    folder = tmp_path_factory.mktemp("store")
    kept = FolderStore(folder)
    for number in range(COUNT):
        made = item(photo(number), id=derived_uuid7(1_700_000_000_000 + number * 86_400_000 // 8, str(number)))
        kept.put(original_name(made.record), made.original, "image/jpeg")
        kept.put(record_name(made.record.id), encode_record(made.record), "application/json")
    (folder / "out").mkdir()
    assert 0 == replay(folder, "--json", str(folder / "out" / "first.json"))
    first = json.loads((folder / "out" / "first.json").read_text())
    for row in first["changed"]:  # all of them: the records had another model's answers
        answer = {"predictions": [{"label": row["after"]["label"], "score": 1.0}], "score": row["after"]["score"]}
        made = next(path for path in folder.glob(f"2*/{row['id']}.json"))
        record = json.loads(made.read_text()) | {"answer": answer}
        made.write_bytes(msgspec.json.encode(record))
    return folder


def replay(store, *words):
    return run([*words, "--store", str(store), "--workers", "1", "--threads", "1"])


def test_exactly_what_a_planted_model_changes_is_found(store, tmp_path, capsys):
    """One of its labels is another one; nothing else changed, and every file says so."""
    planted = tmp_path / "planted"
    shutil.copytree(demo.FOLDER, planted)
    card = planted / "model.toml"
    labels = {verdict(json.loads(path.read_text())["answer"]).label for path in store.glob("2*/*.json")}
    victim = sorted(labels)[0]
    card.write_text(card.read_text().replace(f'"{victim}"', '"=planted"'))
    files = [tmp_path / name for name in ("o.json", "o.csv", "o.html")]

    words = [f"--{path.suffix[1:]}={path}" for path in files]
    assert 0 == replay(store, str(planted), *words)

    expected = {
        path.stem for path in store.glob("2*/*.json") if verdict(json.loads(path.read_text())["answer"]).label == victim
    }
    document = json.loads(files[0].read_text())
    assert 0 < len(expected) < COUNT
    assert expected == {row["id"] for row in document["changed"]}
    assert COUNT - len(expected) == document["summary"]["same"]
    assert COUNT + 1 == len(files[1].read_text().splitlines())
    assert len(expected) == files[1].read_text().count(",'=planted,")
    assert len(expected) == files[2].read_text().count("<img")
    assert f"{victim} -> =planted" in capsys.readouterr().out


def test_days_and_numbers_limit_it(store, tmp_path, capsys):
    """Of those days, the latest."""
    days = sorted(path.name for path in store.glob("2*"))
    out = tmp_path / "o.csv"
    assert 0 == replay(store, "--since", days[1], "--until", days[1], "--limit", "2", "--csv", str(out))
    assert 1 == replay(store, "--since", "2030-01-01")

    latest = sorted(path.stem for path in store.glob(f"{days[1]}/*.json"))[-2:]
    assert latest == sorted(line.partition(",")[0] for line in out.read_text().splitlines()[1:])
    assert "no such images" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--since", "yesterday"], ["--limit", "0"], ["--nonsense"]])
def test_a_wrong_command_line_is_refused(words, capsys):
    """With what would be right."""
    assert 2 == run([*words, *(["--store", "/tmp/x"] if words else [])])
    assert capsys.readouterr().err
