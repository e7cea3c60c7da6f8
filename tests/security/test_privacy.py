"""What a photo tells besides its picture goes nowhere: a GPS canary is searched for wherever the server writes."""

import asyncio
import io
import os

import pytest
from PIL import Image

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

CANARY = "GPS-CANARY-48.8584N"
HEADERS = {
    "user_agent": CANARY,
    "referer": f"https://{CANARY}.example/",
    "cookie": CANARY,
    "x_request_id": f"{CANARY} !",
}


def geotagged(form="JPEG"):
    """A photo whose EXIF block says where it was taken."""
    exif = Image.Exif()
    exif[0x010E] = CANARY
    exif.get_ifd(0x8825)[0x1B] = CANARY.encode()
    file = io.BytesIO()
    Image.open(io.BytesIO(photo(1))).save(file, form, exif=exif, **({"comment": CANARY} if form == "JPEG" else {}))
    return file.getvalue()


def everywhere(folder):
    """Give the files below a folder that hold the canary, in any spelling."""
    spellings = [CANARY.encode(), CANARY.encode("utf-16-le"), CANARY.lower().encode()]
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if any(one in path.read_bytes() for one in spellings)]


async def until(true):
    """Wait until others have done what they do by themselves."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def upload(server):
    """Send the photo in every way, well-formed and broken; give the answers."""
    client = await server.connect()
    answers = [await client.post(geotagged(form), **HEADERS) for form in ("JPEG", "PNG", "WEBP", "AVIF")]
    for body in (geotagged()[:200], CANARY.encode(), b""):
        await client.post(body, **HEADERS)
    await client.request("POST", f"/v1/images?where={CANARY}", geotagged(), **HEADERS)
    await client.request("GET", f"/{CANARY}?where={CANARY}", **HEADERS)
    return [answer.json() for answer in answers]


@pytest.mark.parametrize("http", HTTP_SERVERS)
def test_no_place_is_logged_counted_or_stored(tmp_path, http):
    """Not in the logs of requests and predictions, the metrics, the spool, the store or its index."""
    flags = ["--store", str(tmp_path), "--records", "open", "--redact", "metadata", "--access-log", "on"]
    flags += ["--prediction-log", str(tmp_path / "predictions.json")]
    with serving(*flags, "--http-server", http) as server:

        async def work():
            cleanup = next(one for one in server.tree() if "server.cleanup.process" in one.cmdline())
            cleanup.suspend()
            answers = await upload(server)
            await until(lambda: len(list((tmp_path / ".spool").glob("*.item"))) == len(answers) + 1)
            spooled = everywhere(tmp_path)
            cleanup.resume()
            await until(lambda: not list((tmp_path / ".spool").glob("*.item")))
            client = await server.connect()
            metrics = await client.request("GET", "/metrics")
            return answers, spooled, metrics.body

        answers, spooled, metrics = server.run(work())

    kept = {path.stem: path.suffix for path in tmp_path.glob("2*/*") if path.suffix != ".json"}
    assert ([], []) == (spooled, everywhere(tmp_path))
    assert CANARY.encode() not in metrics
    assert CANARY not in server.final_log
    assert answers[0]["id"] in (tmp_path / "predictions.json").read_text()
    assert [".jpg", ".png", ".webp", None] == [kept.get(answer["id"]) for answer in answers]


def test_without_redaction_the_canary_is_found(tmp_path):
    """So the search sees it, where it is meant to be: an original is kept as it was sent."""
    with serving("--store", str(tmp_path)) as server:
        server.run(upload(server))

    assert {".jpg", ".png", ".webp"} <= {os.path.splitext(path)[1] for path in everywhere(tmp_path)}


def test_originals_may_be_left_out_altogether(tmp_path):
    """Then there is the record alone, which says so."""
    with serving("--store", str(tmp_path), "--records", "open", "--redact", "originals") as server:

        async def work():
            client = await server.connect()
            answer = (await client.post(photo(1))).json()
            while (record := await client.request("GET", f"/v1/images/{answer['id']}")).status == 202:
                pass
            original = await client.request("GET", f"/v1/images/{answer['id']}/original")
            gone = await client.request("DELETE", f"/v1/images/{answer['id']}")
            return record.json(), original.status, gone.status

        record, original, gone = server.run(work())

    assert ("originals", 404, 204) == (record["redacted"], original, gone)
    assert [] == list(tmp_path.glob("2*/*"))
