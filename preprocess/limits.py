"""How large an image may be, and how much work reading one may make."""

from __future__ import annotations

from dataclasses import dataclass, fields

from preprocess.errors import CorruptImage, TooManyPixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one image; each must be at least 1.

    A decoded picture takes 4 bytes per pixel and decoding up to four times that for a moment, in each thread
    that decodes: docs/images.md has the figures. Phones send 12 to 50 megapixels, which JPEGs need not
    decode in full.

    The last five bound the work that a small file can ask for. Real files stay far below them.
    """

    max_pixels: int = 52_000_000  # pixels, width x height: phones' "50 megapixels" are up to 8,320 x 6,240
    max_side: int = 32_768  # pixels, the longer side
    max_parts: int = 1_024  # segments, chunks, boxes or blocks before the picture data
    max_chunks: int = 16_384  # PNG or WebP chunks, or GIF blocks, in the whole file
    max_frames: int = 4_096  # pictures of an animation, of which the first one counts
    max_scans: int = 64  # passes over the picture of a progressive JPEG; encoders make about 10
    max_profile: int = 4 * 1024 * 1024  # bytes; those of printing presses have 0.5 to 3 MB, those of photos 0.5 to 4 kB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise ValueError(f"{field.name} must be >= 1, got {value}")

    def admit(self, width: int, height: int) -> tuple[int, int]:
        """Give a size back unless it is nothing (CorruptImage) or too much (TooManyPixels)."""
        if not width or not height:
            raise CorruptImage
        if width * height > self.max_pixels:
            raise TooManyPixels(f"The image has more than {self.max_pixels} pixels.")
        if max(width, height) > self.max_side:
            raise TooManyPixels(f"The image has more than {self.max_side} pixels on one side.")
        return width, height
