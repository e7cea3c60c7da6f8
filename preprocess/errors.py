"""What can be wrong with an image: always the sender's to mend, never ours.

Each error carries a stable `code` and one sentence for the client. The sentence never repeats anything of
the input. This file knows nothing about HTTP.
"""

from __future__ import annotations

from typing import ClassVar


class ImageError(Exception):
    """Base of all errors about an image; only its leaves are raised.

    `code` is stable and snake_case; `str(error)` is the sentence for the client.
    """

    code: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self, sentence: str | None = None) -> None:
        """`sentence` replaces the default one. It goes to the client: put nothing of the input into it."""
        if type(self) is ImageError:
            raise TypeError("raise one of the subclasses of ImageError, not ImageError itself")
        super().__init__(sentence or self.sentence)


class EmptyImage(ImageError):
    """There is not one byte."""

    code = "image_empty"
    sentence = "The image is empty."


class NotAnImage(ImageError):
    """The content starts like no image format we know."""

    code = "not_an_image"
    sentence = "The content is not an image."


class UnsupportedFormat(ImageError):
    """An image, of a format or a variant of one that is not on the allow-list."""

    code = "unsupported_format"
    sentence = "The image's format, or this variant of it, is not supported; send a JPEG, PNG, WebP or AVIF."


class TooManyPixels(ImageError):
    """The picture is larger than the limits allow; known from the header, no pixel was decoded."""

    code = "too_many_pixels"
    sentence = "The image has too many pixels."


class TruncatedImage(ImageError):
    """The file ends before the picture does: most often an upload cut short."""

    code = "image_truncated"
    sentence = "The image ends early: part of the file is missing."


class CostlyImage(ImageError):
    """Decoding the picture takes more memory or CPU time than its header promised."""

    code = "image_too_costly"
    sentence = "The image takes more work to decode than any image of its size should."


class CorruptImage(ImageError):
    """The file contradicts its own format, or can't be decoded."""

    code = "image_corrupt"
    sentence = "The image is damaged and can't be decoded."
