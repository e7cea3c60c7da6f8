"""Small pictures for pages."""

import base64
import io

from PIL import Image

from preprocess.decode import decode
from preprocess.errors import ImageError
from preprocess.limits import Limits

_SIDE = 160  # pixels


def thumbnail(body: bytes) -> str | None:
    """The image as an `<img>` with its data inside; None if it cannot be decoded."""
    try:
        image = decode(body, (_SIDE, _SIDE), Limits()).upright()
    except ImageError:
        return None
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}">'
