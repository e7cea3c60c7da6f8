"""The report as one HTML page with plots and pictures, which needs nothing else. Pure but for reading the pictures."""

from collections.abc import Callable
from html import escape

from server.commands import charts
from server.commands.optimize.view import COLUMNS, rows
from server.commands.thumbnails import thumbnail
from server.optimize.agreement import Compared
from server.optimize.report import ORIGINAL, Report

_WORST_CLASSES, _LAYERS = 20, 40


def page(report: Report, picture: Callable[[str], bytes]) -> str:
    """The document. `picture` gives a picture's bytes by its name."""
    parts = [
        charts.paragraph(report.reason, "good" if report.chosen else "bad"),
        charts.paragraph(", ".join(f"{name} {value}" for name, value in report.machine.items())),
        charts.table([name or "note" for name in COLUMNS], rows(report)),
        *_speeds(report),
        *_agreement(report),
        *_layers(report),
        *_pictures(report, picture),
    ]
    return charts.page(f"{report.model}: version {report.version} from version {report.original}", parts)


def _speeds(report: Report) -> list[str]:
    timed = [(step.name, step.speed) for step in report.steps if step.speed]
    if len(timed) < 2:
        return []
    names = [name for name, _ in timed]
    rates = [1 / speed.batch_s for _, speed in timed]
    served = [speed.capacity for _, speed in timed]
    return [
        charts.bars(
            "Images per second of one thread: model and decoding (grey), model alone (blue)", names, served, rates
        )
    ]


def _agreement(report: Report) -> list[str]:
    parts = []
    tried = [(step.name, step.agreement.share) for step in report.steps if step.agreement and step.name != ORIGINAL]
    if len(tried) > 1:
        names, shares = zip(*tried, strict=True)
        parts.append(charts.bars("Agreement on calibration pictures", list(names), [0.0] * len(names), list(shares)))
    if report.held_out:
        worst = sorted(report.held_out.classes.items(), key=lambda item: (item[1][0] / item[1][1], -item[1][1]))
        lines = [(name, f"{same} of {count}") for name, (same, count) in worst[:_WORST_CLASSES] if same < count]
        if lines:
            parts += ["<h2>Classes that agree least</h2>", charts.table(("answer of the original", "the same"), lines)]
    return parts


def _layers(report: Report) -> list[str]:
    if not report.layers:
        return []
    most = sorted(report.layers.items(), key=lambda item: -item[1])[:_LAYERS]
    values = [error for _, error in most]
    return [
        charts.bars("Error that each layer alone does in INT8", [name for name, _ in most], [0.0] * len(values), values)
    ]


def _pictures(report: Report, picture: Callable[[str], bytes]) -> list[str]:
    if not report.different:
        return []
    return [
        "<h2>Pictures where the answers differ most</h2>",
        '<div style="display:flex;flex-wrap:wrap;gap:1rem">'
        + "".join(_figure(row, picture) for row in report.different)
        + "</div>",
    ]


def _figure(row: Compared, picture: Callable[[str], bytes]) -> str:
    words = f"{row.before} → {row.after}" if row.before != row.after else row.before
    try:
        image = thumbnail(picture(row.image)) or ""
    except OSError:  # it has gone meanwhile
        image = ""
    caption = f"{escape(words)}<br>largest difference {row.largest:.3g}<br>{escape(row.image)}"
    return f'<figure style="width:11rem;overflow-wrap:anywhere">{image}<figcaption>{caption}</figcaption></figure>'
