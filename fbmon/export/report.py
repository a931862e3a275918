"""A run or a comparison as one HTML file that opens offline and prints well: table, curves, recipes, environment."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from fbmon.chart.svg import svg
from fbmon.compare import Run
from fbmon.compare.columns import DEFAULT_COLUMNS, columns_for
from fbmon.compare.differing import differing
from fbmon.compare.facts import show_plain
from fbmon.compare.fields import find
from fbmon.compare.table import Table, lay_out
from fbmon.export import panels
from fbmon.run import RunFolder
from fbmon.run.journal import Tail
from fbmon.store.notes import Note
from fbmon.store.store import Store
from fbmon.text import clean, clean_lines, duration, time_spent

_NOTES = 40  # the newest of a run's events
_WIDE = 5  # runs beside each other in a table of settings

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #222; max-width: 960px; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.about { color: #555; margin-top: 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
th.right, td.right { text-align: right; } th { border-bottom: 2px solid #888; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: .5rem; }
.charts svg { width: 100%; height: auto; } pre { background: #f5f5f5; padding: .8rem; font-size: 12px;
  overflow-x: auto; white-space: pre-wrap; } details > summary { cursor: pointer; font-weight: 600; }
@media print { body { max-width: none; margin: 0; font-size: 11px; } .charts { grid-template-columns: 1fr 1fr; }
  .charts svg, tr, h2 { break-inside: avoid; } h2 { break-after: avoid; } .wide { overflow: visible; }
  table { font-size: 8px; } th, td { padding: .15rem .3rem; white-space: normal; }
  pre { background: none; border: 1px solid #ddd; } }
"""


def page(runs: Sequence[Run]) -> str:
    """Return the whole page; it fetches nothing from anywhere, and foreign text in it is text and nothing else."""
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs compared"
    body = [
        f"<h1>{_words(title)}</h1>",
        f'<p class="about">{_about(runs)}</p>',
        "<h2>Results</h2>",
        _table(lay_out(runs, columns_for(runs, None, DEFAULT_COLUMNS, with_settings=False))),
        *_differences(runs),
        "<h2>Curves</h2>",
        f'<div class="charts">{"".join(svg([plot]) for plot in panels.of(runs))}</div>',
        *(part for run in runs for part in _of_run(run, is_open=len(runs) == 1)),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_words(title)} · fbmon</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _about(runs: Sequence[Run]) -> str:
    if len(runs) > 1:
        recipes = ", ".join(dict.fromkeys(run.recipe for run in runs))
        return _words(f"Recipes: {recipes}", 400)
    run, summary = runs[0], runs[0].summary
    spent = time_spent(summary.elapsed, summary.elapsed - summary.seconds)
    words = f"Recipe {run.recipe}: {run.state} after step {summary.step} of {run.steps} in {spent}"
    steps = "1 step" if summary.clipped_count == 1 else f"{summary.clipped_count} steps"
    clipped = f"; {steps} clipped" if summary.clipped_count else ""
    reason = f" ({summary.ended.reason})" if summary.ended and summary.ended.reason else ""
    return _words(words + reason + clipped + ".", 400)


def _table(table: Table) -> str:
    heads = [(column.heading, column.is_right) for column in table.columns]
    return _html_table(heads, [[cell.text for cell in row] for row in table.rows])


def _html_table(heads: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; `heads` are the headings, each with whether its column is aligned right."""
    sides = [' class="right"' if is_right else "" for _, is_right in heads]
    head = "".join(f"<th{side}>{_words(heading)}</th>" for (heading, _), side in zip(heads, sides, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{side}>{_words(cell)}</td>' for cell, side in zip(row, sides, strict=True))}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _differences(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a row for each setting in which runs differ, a column for each run; transposed if there are many runs."""
    if len(runs) < 2:
        return
    names = differing(runs)
    yield "<h2>What differs between the recipes</h2>"
    if not names:
        yield "<p>Nothing.</p>"
        return
    cells = [[show_plain(find(name, runs).value(run)) for run in runs] for name in names]
    by_run, by_setting = [run.name for run in runs], names
    if len(runs) > _WIDE:
        cells, by_run, by_setting = [list(column) for column in zip(*cells, strict=True)], by_setting, by_run
    heads = [("", False), *((heading, True) for heading in by_run)]
    yield _html_table(heads, [[name, *row] for name, row in zip(by_setting, cells, strict=True)])


def _of_run(run: Run, *, is_open: bool) -> Iterator[str]:
    folder = RunFolder(run.path)
    yield f"<h2>{_words(run.name)}</h2>" if not is_open else "<h2>Details</h2>"
    for title, text in (("Recipe", _read(folder)), ("Environment", _environment(folder)), ("Events", _events(folder))):
        if text:
            opened = " open" if is_open else ""
            yield f"<details{opened}><summary>{title}</summary><pre>{escape(clean_lines(text))}</pre></details>"


def _read(folder: RunFolder) -> str:
    try:
        return folder.resolved.read_text("utf-8", "replace")[:65536]
    except OSError:
        return ""


def _environment(folder: RunFolder) -> str:
    meta = folder.read_meta()
    if meta is None:
        return ""
    facts = {
        "started": meta.created,
        "host": meta.host,
        "devices": meta.devices,
        "command": " ".join(meta.command),
        "git": meta.git,
        **meta.versions,
    }
    return "\n".join(f"{name}: {value}" for name, value in facts.items() if value)


def _events(folder: RunFolder) -> str:
    store = Store()
    for event in Tail(folder.journal).read():
        store.apply(event)
    return "\n".join(_line(note) for note in store.notes[-_NOTES:])


def _line(note: Note) -> str:
    return f"{duration(note.elapsed):>8}  step {note.step:<6}  {note.text}"


def _words(text: str, limit: int = 200) -> str:
    return escape(clean(text, limit))
