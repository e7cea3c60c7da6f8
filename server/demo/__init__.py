"""The demo model: honest, tiny, and there without a download; `server.demo.build` says what it computes."""

from pathlib import Path

FOLDER = Path(__file__).parent / "colourfulness"  # laid out as any model's folder

__all__ = ["FOLDER"]
