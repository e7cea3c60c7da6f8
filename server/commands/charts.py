"""Pages and charts that need nothing else: HTML with inline SVG. Pure."""

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 640.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 12.0, 12.0, 34.0
_GREY, _BLUE, _RED = "#8a939c", "#1f5fa8", "#b3261e"

_STYLE = """
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 60rem; color: #1c2126; background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.bad { color: #b3261e; font-weight: 600; } .good { color: #1d6b34; font-weight: 600; }
figure { margin: 1rem 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid #e3e6ea; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } th { color: #5a636c; }
text { font-size: 12px; fill: #5a636c; }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """A whole document. `parts` are HTML; `title` is text."""
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    return f"{head}<body><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"


def paragraph(text: str, kind: str = "") -> str:
    """`kind`: good, bad, or nothing."""
    return f'<p class="{kind}">{escape(text)}</p>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """All cells are text."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def intervals(caption: str, labels: Sequence[str], points: Sequence[tuple[float, float, float]]) -> str:
    """An estimate with its bounds (low, estimate, high) per label, and a line at 0."""
    scale = _Scale(min([0.0, *(low for low, _, _ in points)]), max([0.0, *(high for _, _, high in points)]))
    marks = [_line(_LEFT, scale(0.0), _WIDTH - _RIGHT, scale(0.0), _GREY)]
    for at, (low, middle, high) in zip(_places(len(points)), points, strict=True):
        colour = _RED if low > 0 or high < 0 else _BLUE
        marks.append(_line(at, scale(low), at, scale(high), colour, 3.0))
        marks.append(f'<circle cx="{at:.1f}" cy="{scale(middle):.1f}" r="4" fill="{colour}"/>')
    return _figure(caption, [*scale.axis(), *marks, *_names(labels)])


def lines(caption: str, labels: Sequence[str], values: Sequence[float], limit: float) -> str:
    """One value per label, joined; and a line at the limit."""
    scale = _Scale(0.0, max([limit * 1.2, *values]))
    places = _places(len(values))
    joined = " ".join(f"{at:.1f},{scale(value):.1f}" for at, value in zip(places, values, strict=True))
    marks = [
        _line(_LEFT, scale(limit), _WIDTH - _RIGHT, scale(limit), _RED),
        f'<polyline points="{joined}" fill="none" stroke="{_BLUE}" stroke-width="2"/>',
    ]
    return _figure(caption, [*scale.axis(), *marks, *_names(labels)])


def bars(caption: str, labels: Sequence[str], before: Sequence[float], now: Sequence[float]) -> str:
    """Two shares per label: grey before, blue now."""
    scale = _Scale(0.0, max([1e-9, *before, *now]))
    width = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels)) * 0.4
    marks = []
    for at, one, other in zip(_places(len(labels)), before, now, strict=True):
        marks.append(_bar(at - width, width, scale, one, _GREY))
        marks.append(_bar(at, width, scale, other, _BLUE))
    return _figure(caption, [*scale.axis(), *marks, *_names(labels)])


class _Scale:
    """Values to pixels from the top."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high if high > low else low + 1.0

    def __call__(self, value: float) -> float:
        part = (value - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)

    def axis(self) -> list[str]:
        """Lines and numbers at the ends and in the middle."""
        values = (self._low, (self._low + self._high) / 2, self._high)
        return [
            part
            for value in values
            for part in (
                _line(_LEFT, self(value), _WIDTH - _RIGHT, self(value), "#e3e6ea"),
                f'<text x="{_LEFT - 6}" y="{self(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>',
            )
        ]


def _places(count: int) -> list[float]:
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, count)
    return [_LEFT + step * (number + 0.5) for number in range(count)]


def _names(labels: Sequence[str]) -> list[str]:
    """Under the chart: as many as fit."""
    every = max(1, -(-len(labels) // 8))
    shown = list(zip(_places(len(labels)), labels, strict=True))[::every]
    y = _HEIGHT - 12
    return [f'<text x="{at:.1f}" y="{y}" text-anchor="middle">{escape(label)}</text>' for at, label in shown]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _bar(left: float, width: float, scale: _Scale, value: float, colour: str) -> str:
    top, bottom = scale(value), scale(0.0)
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}" fill="{colour}"/>'


def _figure(caption: str, marks: Sequence[str]) -> str:
    drawing = f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img">{"".join(marks)}</svg>'
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>"
