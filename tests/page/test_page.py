"""The page in a real Chromium, on a real server."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from server.web.errors import PROBLEMS
from tests import candidates
from tests.end_to_end.harness import serving
from tests.flood import overload
from tests.page.browser import chromium, give_file, open_page
from tests.photos import photo

pytestmark = pytest.mark.timeout(200)


def file(number):
    return {"name": f"plate {number}.jpg", "mimeType": "image/jpeg", "buffer": photo(number)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    flags = ("--store", str(tmp_path_factory.mktemp("store")), "--records", "open", "--slo", "60s")
    with serving(*flags) as found:
        yield found


@pytest.fixture(scope="module")
def busy():
    """A server for an overload."""
    with serving("--workers", "1") as found:
        yield found


@pytest.fixture(scope="module")
def rolling(tmp_path_factory):
    """A server whose model has a second version."""
    folder = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        candidates.good(folder / "food" / version / "model.onnx")
    (folder / "food" / "model.toml").write_text('default_version = "1"\nslo = "20s"\n')
    with serving("--models", str(folder), "--workers", "1") as found:
        yield found


@pytest.fixture(scope="module")
def browser(server, busy, rolling):
    """After the servers: while Playwright's loop runs in this thread, no other can."""
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser, server):
    with open_page(browser, url(server)) as found:
        found.locator("#file[multiple]").wait_for()
        yield found


def url(server, view=""):
    return f"http://127.0.0.1:{server.port}/{view}"


def serious(page):
    """Name what axe finds that would keep somebody out."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


def test_an_image_comes_in_by_each_way(page):
    """Chosen, photographed, dropped and pasted: each shows its picture, its answer and where its time went."""
    page.set_input_files("#file", file(0))
    page.set_input_files("#camera", file(1))
    give_file(page, "drop", "dropped.jpg", photo(2))
    give_file(page, "paste", "pasted.jpg", photo(3))
    page.get_by_text("4 of 4 done").wait_for()

    for name in ("plate 0.jpg", "plate 1.jpg", "dropped.jpg", "pasted.jpg"):
        card = page.locator(".card", has_text=name)
        assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
        assert card.locator(".classes li").count() == 3
        assert ["upload", "queue", "decode", "infer", "rest", "total"] == card.locator(
            ".waterfall dt"
        ).all_inner_texts()
    assert [] == serious(page)


def test_fifty_images_are_answered_with_progress(page):
    """A few at a time, each on a card of its own."""
    page.set_input_files("#file", [file(number) for number in range(50)])
    page.get_by_text("50 of 50 done").wait_for()

    assert page.locator(".card").count() == 50
    assert page.locator("progress#progress").evaluate("bar => bar.value / bar.max") == 1
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".card").count() == 0


def test_every_code_is_explained(page):
    """What happened, what to do, when to come back, and the request's id."""
    codes = iter(PROBLEMS.values())

    def refuse(route):
        problem = next(codes, PROBLEMS["queue_full"])  # once each; then again those that the page asks again
        document = {"title": problem.title, "code": problem.code, "request_id": "order-66", "retry_after_ms": 1500}
        route.fulfill(status=problem.status, json=document)

    page.route("**/v1/images", refuse)
    page.set_input_files("#file", [file(number) for number in range(len(PROBLEMS))])
    page.get_by_text("This server asks for a key").wait_for()  # for the 401 among them
    page.fill("#key", "anything")
    page.get_by_role("button", name="Use it").click()
    page.get_by_text(f"{len(PROBLEMS)} of {len(PROBLEMS)} done").wait_for()

    for problem in PROBLEMS.values():
        if problem.status != 401:
            text = page.locator(
                ".card", has=page.get_by_text(f"{problem.status} {problem.code}", exact=True)
            ).first.inner_text()
            assert problem.title in text
            explanation = text.split(f"{problem.title}. ")[1].split(" Come back in 1.5 s.")[0]
            assert len(explanation) > 10, problem.code
            assert "order-66" in text
    assert [] == serious(page)


def test_an_answer_is_copied_as_curl(browser, server):
    """The command that does the same; never a key."""
    with open_page(browser, url(server), permissions=["clipboard-read", "clipboard-write"]) as page:
        page.locator("#file[multiple]").wait_for()
        page.evaluate("sessionStorage.setItem('key', 'secret')")
        page.set_input_files("#file", file(5))
        page.get_by_role("button", name="Copy as curl").click()
        page.get_by_role("button", name="Copied").wait_for()

        text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("curl --data-binary @'plate 5.jpg'")
    assert "secret" not in text


def test_without_scripts_the_form_answers_one_image(browser, server):
    """A good one, and a bad one with what to do about it."""
    with open_page(browser, url(server), java_script_enabled=False) as page:
        page.set_input_files("#file", file(6))
        page.get_by_role("button", name="Send").click()
        assert "Answer" == page.get_by_role("heading").inner_text()
        assert "colourful" in page.locator("main").inner_text()
        page.get_by_role("link", name="Another image").click()
        page.set_input_files("#file", {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no image"})
        page.get_by_role("button", name="Send").click()
        assert "Choose a JPEG" in page.locator("main").inner_text()


def test_the_keyboard_and_a_phone_reach_everything(browser, server):
    """On 390 pixels nothing is wider than the screen; in the dark as in the light, axe finds nothing serious."""
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True, "is_mobile": True}
    with open_page(browser, url(server), **options) as page:
        page.locator("#file[multiple]").wait_for()
        for view in ("try", "watch", "records"):
            page.locator(f"[data-tab={view}]").focus()
            page.keyboard.press("Enter")
            page.locator(f"#view-{view}:not([hidden])").wait_for()
            if view == "watch":
                page.locator(".tile").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert [] == serious(page)


def test_watch_shows_an_overload_as_it_happens(browser, busy):
    """Refusals by reason, and what each worker does; and it does not hold up the server's end."""
    with open_page(browser, url(busy, "#watch")) as page:
        with overload(busy):
            page.get_by_role("cell", name="would_be_late", exact=True).wait_for()
            page.get_by_role("cell", name="working", exact=True).wait_for()
        assert 4 == page.locator(".chart svg[role=img]").count()
        assert "answered" in page.locator(".chart svg[role=img]").first.get_attribute("aria-label")
        assert [] == serious(page)
        page.route("**/watch/events", lambda route: route.fulfill(status=503))  # from now on: nobody is there
        busy.process.terminate()
        page.get_by_text("Not connected; trying again.").wait_for()
        assert 0 == busy.wait()


def test_watch_shows_a_rollout_as_it_happens(browser, rolling):
    """The share of the candidate while it is a canary, and how it ended."""
    plan = 'steps = ["canary 50%", "canary 100%"]\ndwell = "100ms"\nat_least = 20\n'
    with open_page(browser, url(rolling, "#watch")) as page:
        rollout = page.get_by_role("region", name="Rollouts and experiments")
        begun = page.request.post(url(rolling, "v1/models/food/rollout"), data={"version": "2", "plan": plan})
        assert 200 == begun.status, begun.text()
        rollout.get_by_role("row", name="rollout_share").first.wait_for()
        for number in range(2000):
            page.request.post(url(rolling, "v1/images"), data=photo(number))
            if page.request.get(url(rolling, "v1/models/food/rollout")).json()["phase"] == "promoted":
                break
        rollout.get_by_role("row", name="promoted").wait_for()
        assert [] == serious(page)


def test_records_are_searched_shown_and_deleted(page, server):
    """By label, by id and by hash; a deleted one is found no more."""
    page.set_input_files("#file", file(60))
    meta = page.locator(".card .meta").last
    meta.get_by_text("Id").wait_for()
    id_ = meta.inner_text().split("Id ")[1].strip()
    page.locator("[data-tab=records]").click()
    page.get_by_label("Id or hash").fill(id_)
    card = page.locator("#found .card", has_text="Hash ")
    pending = page.locator("#found .card", has_text="On its way")
    for _ in range(100):
        page.get_by_role("button", name="Search").click()
        card.or_(pending).first.wait_for()
        if card.count():
            break
    label = card.locator("h3").inner_text().split(" (")[0]
    hash_ = card.inner_text().split("Hash ")[1].split()[0]
    assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64

    page.get_by_label("Id or hash").fill("")
    page.get_by_label("Label").fill(label)
    page.get_by_role("button", name="Search").click()
    card = card.filter(has_text=id_)
    card.wait_for()
    assert [] == serious(page)
    card.get_by_role("button", name="Delete").click()
    card.get_by_role("button", name="Delete for good?").click()
    page.get_by_text("Deleted.").wait_for()
    page.get_by_label("Label").fill("")
    page.get_by_label("Id or hash").fill(hash_)
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Nothing found.").wait_for()
