"""The Python client and `tureen send` against real servers."""

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter

import pytest

from server import demo as demo_model
from server.client import AsyncClient, Client, DeadlineExceeded, Failed, Refused, RetryBudget, Unreachable
from tests.end_to_end.harness import serving
from tests.models import dense
from tests.photos import photo
from tests.protocols.test_uploads import uuid7
from tests.reference import Reference

pytestmark = pytest.mark.timeout(120)


def url(server):
    """Where a server is."""
    return f"http://{server.host}:{server.port}"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A server with a slow model and room for two."""
    path = dense(tmp_path_factory.mktemp("full") / "slow.onnx", size=32, hidden=(4096, 4096))
    flags = ("--workers", "1", "--max-batch", "1", "--max-queue", "2", "--slo", "30s", "--cache", "off")
    with serving(str(path), *flags) as server:
        yield server


def test_an_image_is_answered(demo, tmp_path):
    """From bytes or from a file."""
    image = photo(60)
    (tmp_path / "photo.jpg").write_bytes(image)

    with Client(url(demo)) as client:
        answers = [client.send(image), client.send(tmp_path / "photo.jpg", deadline_s=10, urgency=3)]

    assert all(Reference(demo_model.FOLDER).agrees(image, answer) for answer in answers)


def test_an_id_of_the_client_is_kept(demo):
    """It is the answer's, too."""
    id_ = uuid7()

    with Client(url(demo)) as client:
        assert id_ == client.send(photo(61), id=id_)["id"]


def test_what_is_wrong_is_raised(demo):
    """By whose fault it is."""
    with Client(url(demo)) as client:
        with pytest.raises(Failed) as caught:
            client.send(b"no image")
        with pytest.raises((Failed, DeadlineExceeded)):
            client.send(photo(62), deadline_s=0.0001)
    with Client("http://127.0.0.1:9", retries=0) as nobody, pytest.raises(Unreachable):
        nobody.send(b"x")

    assert (415, "not_an_image") == (caught.value.status, caught.value.code)


def test_refused_images_are_sent_again(full):
    """With a budget for that, all of a crowd are answered; without retries most are refused."""

    async def crowd(retries, budget):
        async with AsyncClient(url(full), retries=retries, budget=budget) as client:
            sent = (client.send(photo(number)) for number in range(24))
            return await asyncio.gather(*sent, return_exceptions=True)

    patient = asyncio.run(crowd(200, RetryBudget(most=5000.0)))
    hasty = asyncio.run(crowd(0, RetryBudget()))

    assert 24 == sum(isinstance(outcome, dict) for outcome in patient), Counter(map(type, patient))
    assert {Refused, dict} == {type(outcome) for outcome in hasty}


def test_threads_share_a_client(demo):
    """Each gets its own image's answer."""
    answers = {}
    with Client(url(demo)) as client:

        def send(number):
            answers[number] = client.send(photo(number))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(70, 76)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    reference = Reference(demo_model.FOLDER)
    assert all(reference.agrees(photo(number), answer) for number, answer in answers.items())


def tureen_send(*words):
    """Give what `tureen send` does with these words."""
    return subprocess.run([sys.executable, "-m", "server", "send", *words], capture_output=True, text=True, timeout=50)


def test_send_prints_a_line_per_photo(demo, tmp_path):
    """Of folders, all images in them; the exit code says whether each was answered."""
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(photo(number))
    (tmp_path / "notes.txt").write_text("no image")

    done = tureen_send(str(tmp_path), "--url", url(demo))
    broken = tureen_send(str(tmp_path / "notes.txt"), str(tmp_path / "0.jpg"), "--url", url(demo), "--json")

    assert (0, 3) == (done.returncode, len(done.stdout.splitlines())), done.stderr
    lines = {line["file"][-9:]: line for line in map(json.loads, broken.stdout.splitlines())}
    assert 1 == broken.returncode
    assert "not_an_image" in lines["notes.txt"]["error"]
    assert any("predictions" in line for line in lines.values())


def test_send_says_what_is_wrong_with_its_arguments(tmp_path):
    """Before anything is sent."""
    missing, wrong = tureen_send(str(tmp_path / "x.jpg")), tureen_send(str(tmp_path), "--deadline", "soon")

    assert (2, 2) == (missing.returncode, wrong.returncode)
    assert "x.jpg" in missing.stderr
