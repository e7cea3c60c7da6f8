"""One HTML page with everything in it: to be read on a phone, on paper, and when the network is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from server.commands.bench import plots
from server.commands.bench.judge import Verdict
from server.commands.bench.measure import Trial
from server.commands.bench.view import COLUMNS, facts, reasons_of, trial_row

_WORD = {Verdict.KEPT: "Promise kept", Verdict.MISSED: "Promise missed", Verdict.INVALID: "No measurement"}

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 72rem; color: #1c2126; background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: clamp(1.05rem, 4.8vw, 1.5rem); line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; }
.meta { color: #5a636c; font-size: .875rem; overflow-wrap: anywhere; }
.verdict { display: inline-block; margin: .9rem 0 .2rem; padding: .3rem .8rem; border-radius: .4rem; font-weight: 600;
  border: 2px solid; }
.kept { color: #1d6b34; } .missed, .invalid { color: #b3261e; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.6rem 2rem; }
figure { margin: 0; break-inside: avoid; } figcaption { font-weight: 600; margin-bottom: .3rem; }
svg { width: 100%; height: auto; display: block; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: 0;
  font-variant-numeric: tabular-nums; }
dt { color: #5a636c; } dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e3e6ea; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: #5a636c; font-weight: 600; }
@media (max-width: 34rem) {
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .55rem; }
  table, thead, tbody, tr, td { display: block; } thead { display: none; }
  tr { border-bottom: 1px solid #e3e6ea; padding: .5rem 0; }
  td { border: 0; padding: 0; text-align: left; white-space: normal; display: inline-block; margin-right: 1rem; }
  td:first-child { display: block; font-weight: 600; }
  td[data-name]:not(:first-child)::before { content: attr(data-name) " "; color: #5a636c; }
  td:empty { display: none; }
}
@media print { body { padding: 0; font-size: 11px; max-width: none; } .plots { grid-template-columns: 1fr 1fr; }
  .wide { overflow: visible; } }
"""


def page(meta: Mapping[str, str], trials: Sequence[Trial], capacity: float | None, verdict: Verdict) -> str:
    """The whole page. Runs that are no measurement have no plot and no figure on it."""
    measured = [trial for trial in trials if trial.judgement.verdict is not Verdict.INVALID]
    reasons = reasons_of(trials)
    if capacity is not None:
        reasons = [f"capacity: {capacity:,.4g} images/s"]
    parts = [
        f"<h1>{escape(meta['url'])}</h1>",
        f"<p>{escape(meta['promise'])}</p>",
        f'<p class="verdict {verdict.name.lower()}">{_WORD[verdict]}</p>',
        *(f"<p>{escape(reason)}</p>" for reason in reasons),
    ]
    if measured:
        main = _main(measured, capacity)
        parts.append(_plots(measured, main))
        parts.append(f"<h2>The figures{' of the run at capacity' * (capacity is not None)}</h2>{_list(main)}")
    if len(trials) > 1:
        parts.append(f"<h2>All runs</h2>{_table(trials)}")
    parts.append(f'<p class="meta" style="margin-top:2rem">{escape(meta["when"])} · {escape(meta["tool"])}'
                 f" · client: {escape(meta['client'])}</p>")  # fmt: skip
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_WORD[verdict]}: {escape(meta['url'])}</title><style>{_STYLE}</style>"
    )
    return f"{head}<body>\n" + "\n".join(parts) + "\n</body></html>\n"


def _main(trials: Sequence[Trial], capacity: float | None) -> Trial:
    """The run to show in full: the last at capacity, or simply the last."""
    at_capacity = [trial for trial in trials if trial.run.load.rate == capacity]
    return (at_capacity or list(trials))[-1]


def _plots(trials: Sequence[Trial], main: Trial) -> str:
    shown = _few(trials, main)
    figures = [
        ("Latency over time", plots.latency_over_time(main)),
        ("Percentiles", plots.percentiles(shown)),
    ]
    if len({trial.run.load.rate for trial in trials}) > 1:
        figures.append(("Against the offered rate", plots.against_offered(trials)))
    if main.summary.batches:
        figures.append(("Batch sizes", plots.batch_sizes(main)))
    cells = [f"<figure><figcaption>{name}</figcaption>{svg}</figure>" for name, svg in figures]
    return f'<h2>In pictures</h2><div class="plots">{"".join(cells)}</div>'


def _few(trials: Sequence[Trial], main: Trial) -> list[Trial]:
    """At most four, one a rate, `main` first: more lines cannot be told apart."""
    others = {trial.run.load.rate: trial for trial in trials if trial.run.load.rate != main.run.load.rate}
    ordered = sorted(others.values(), key=lambda trial: trial.run.load.rate)
    step = max(1, len(ordered) // 3)
    return [main, *ordered[::step][:3]]


def _list(trial: Trial) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{_spaced(text)}</dd>" for name, text in facts(trial)) + "</dl>"


def _spaced(text: str) -> str:
    """Two blanks part figures in a terminal; a browser would make one of them."""
    return " · ".join(escape(part) for part in text.split("  "))


def _table(trials: Sequence[Trial]) -> str:
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = []
    for trial in trials:
        cells = zip(COLUMNS, trial_row(trial), strict=True)
        rows.append("<tr>" + "".join(f'<td data-name="{name}">{escape(cell)}</td>' for name, cell in cells) + "</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
