"""A real Chromium, and what it must not do: load anything from another host, or log an error that nobody expects."""

import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_ANSWERED = "Failed to load resource"  # a refusal, which the page explains


@contextmanager
def chromium():
    """A browser; `open_page` gives tabs of it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser, url, **options):
    """A tab at `url`. Leaving fails for what must not happen."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
    page = context.new_page()
    errors, hosts = [], set()
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(url)
    try:
        yield page
    finally:
        context.close()
    assert [] == [error for error in errors if not error.startswith(_ANSWERED)]
    assert hosts <= {urlsplit(url).netloc, ""}  # "" is blob: and data:


def give_file(page, event, name, data):
    """Drop or paste a file, as a person would: `event` is drop or paste."""
    page.evaluate(
        """([event, name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, {type: "image/jpeg"}));
            const target = document.getElementById("drop");
            target.dispatchEvent(event === "drop"
                ? new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true}));
        }""",
        [event, name, list(data)],
    )
