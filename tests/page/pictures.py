"""Screenshots of the page: `python -m tests.page.pictures FOLDER`. To be looked at whenever the page has changed.

Try, Watch and Records, on a desktop and on a phone, light and dark. Watch is taken during an overload.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.end_to_end.harness import Server, serving
from tests.flood import overload
from tests.page.browser import chromium, open_page
from tests.photos import photo

_SCREENS = {
    "desktop": {"viewport": {"width": 1200, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
_FILES = [
    *({"name": f"plate {seed}.jpg", "mimeType": "image/jpeg", "buffer": photo(seed, 640, 480)} for seed in range(3)),
    {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no image"},
]


def main() -> None:
    """Write twelve pictures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store:
        flags = ("--store", store, "--records", "open", "--workers", "1")
        with serving(*flags) as server, chromium() as browser:
            for screen, options in _SCREENS.items():
                for scheme in ("light", "dark"):
                    _take(browser, server, folder / f"{screen}-{scheme}", {**options, "color_scheme": scheme})


def _take(browser: Browser, server: Server, path: Path, options: dict[str, object]) -> None:
    with open_page(browser, f"http://127.0.0.1:{server.port}/", **options) as page:
        page.locator("#file[multiple]").wait_for()
        page.set_input_files("#file", _FILES)
        page.get_by_text(f"{len(_FILES)} of {len(_FILES)} done").wait_for()
        _shoot(page, path, "try")
        _open(page, "watch")
        with overload(server):
            page.get_by_role("cell", name="would_be_late", exact=True).wait_for()
            page.get_by_role("cell", name="working", exact=True).wait_for()
            _shoot(page, path, "watch")
        _open(page, "records")
        page.get_by_role("button", name="Search").click()
        page.locator("#found .card img").first.wait_for()
        _shoot(page, path, "records")


def _open(page: Page, view: str) -> None:
    page.locator(f"[data-tab={view}]").click()
    page.locator(f"#view-{view}:not([hidden])").wait_for()


def _shoot(page: Page, path: Path, view: str) -> None:
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    page.screenshot(path=f"{path}-{view}.png", full_page=True)
    print(f"{path}-{view}.png", flush=True)


if __name__ == "__main__":
    main()
