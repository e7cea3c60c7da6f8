"""Where the browser and the server may differ in a prepared image, and by how much.

After a change of a tolerance, write the table into the document: python -m tests.page.agreement
"""

from pathlib import Path

from tests.preprocess.golden import KINDS as GOLDEN
from tests.preprocess.pictures import encode, photo, turned

PAGE = Path(__file__).parents[2] / "docs" / "edge.md"
HEAD = "| picture | mean, largest |\n|---|---|\n"

TURNED = {
    (form, f"orientation {number}"): (form, number)
    for form in ("JPEG", "PNG", "WebP", "AVIF")
    for number in range(1, 9)
}


def _turned(form, number):
    stored, exif = turned(photo(180, 120), number)
    return encode(stored, form, exif=exif)


PICTURES = {key: make for key, make in GOLDEN.items() if key[0] != "HEIC" and "orientation" not in key[1]}
PICTURES |= {key: (lambda given=given: _turned(*given)) for key, given in TURNED.items()}
"""Each makes the bytes of one file; no browser reads HEIC everywhere."""

# (mean, largest) in levels of 255.
TOLERANCES = {
    "any other, also turned": (0, 0),
    "a JPEG that is decoded at a fraction of its size": (0.5, 3),
    "a large one, averaged down": (0.1, 1),
    "with alpha or a clear colour; a BMP of 16 bits": (0.6, 2),
    "with a profile": (0.5, 16),
    "an AVIF with alpha": (5, 18),
    "an animated AVIF, whose still picture and first frame are encoded apart": (10, 30),
}
PLAIN, DRAFT, LARGE, ALPHA, PROFILE, AVIF_ALPHA, AVIF_ANIMATED = TOLERANCES


def family(form, kind):
    """The row of `TOLERANCES` that a picture belongs to."""
    if form == "AVIF" and kind in ("RGBA", "animated"):
        return AVIF_ALPHA if kind == "RGBA" else AVIF_ANIMATED
    if "profile" in kind:
        return PROFILE
    if kind.startswith("1600"):
        return DRAFT if form == "JPEG" else LARGE
    if "alpha" in kind or "RGBA" in kind or "clear" in kind or kind.startswith("16 bits"):
        return ALPHA
    return PLAIN


def table():
    """As it stands in the document."""
    return HEAD + "".join(f"| {name} | {mean}, {largest} |\n" for name, (mean, largest) in TOLERANCES.items())


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :] if not rest.startswith("\n") else rest
    PAGE.write_text(before + table() + after)
