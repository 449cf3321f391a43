"""Compare, which cause: combinations of old and new, what they would take, each cause's part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page.parts import heading, join, link, metric_help, paragraph, said
from rag_bench.dashboard.page.tables import Cell, Col, number, number_cell, p_cell, table
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words
    from rag_bench.releases.explaining import Explained, PlannedCorner
    from rag_bench.reporting.compared.shapes import Compared

#: Value of the view's parameter that shows the plan: it reads the ledger, which takes a moment.
SHOWN = "yes"


def causes_part(context: Context, found: Compared) -> list[object]:
    """Return the plan of `rag-bench compare --explain`, as far as the store tells it, and what it
    found. Nothing where fewer than two things differ that could be told apart.
    """
    from rag_bench.releases.explaining import causes_between, evaluations_to_explain

    words, a, b = context.words, found.a.id, found.b.id
    if found.a.kind != "evaluation" or found.b.kind != "evaluation":
        return []
    parts: list[object] = [heading(words("which_cause"))]
    try:
        causes = causes_between(*evaluations_to_explain(context.engine, found.a, found.b))
        if len(causes) < 2:
            return []
        if context.view.get("explain") != SHOWN:
            named = ", ".join(words.known(f"cause_{one}", one) for one in causes)
            shown = link(words("show_causes"), context.view.link(explain=SHOWN))
            told = words("causes_differ", n=len(causes), causes=named)
            return [*parts, paragraph(join([told, " ", shown]))]
        explained = context.keep(_explained, a, b)
    except RagBenchError as error:
        return [*parts, paragraph(words.sentence(str(error)))]
    parts += [paragraph(words("which_cause_help")), _corners(context, explained)]
    parts += [paragraph(words.sentence(note)) for note in explained.notes]
    if explained.parts:
        parts.append(_parts(words, explained))
    else:
        parts.append(said(words("causes_not_split"), "note"))
    missing = any(one.evaluation is None for one in explained.corners)
    command = f"rag-bench compare {a} {b} --explain" + (" --run" if missing else "")
    told = words("explain_command" if missing else "gate_command")
    code = Markup("<code>{}</code>").format(command)
    return [*parts, paragraph(join([told, " ", code]))]


def _explained(engine: Engine, a: str, b: str) -> Explained:
    from rag_bench.llm.config.providers import Providers
    from rag_bench.releases.explaining import evaluations_to_explain, explain_by_stored
    from rag_bench.reporting.compared.opening import open_side
    from rag_bench.settings import get_settings

    sides = (open_side(engine, f"evaluation:{a}", "a"), open_side(engine, f"evaluation:{b}", "b"))
    ends = evaluations_to_explain(engine, *sides)
    return explain_by_stored(engine, get_settings(), Providers.from_environment(), *ends)


def _corners(context: Context, found: Explained) -> object:
    words = context.words
    rows = [
        [
            ", ".join(words.known(f"cause_{one}", one) for one in sorted(corner.from_b))
            or words("nothing_new"),
            _state(context, corner),
            number_cell(corner.n_calls if _priced(corner) else None),
            number_cell(corner.in_ledger if _priced(corner) else None),
            number_cell(corner.cost_usd if _priced(corner) else None, 4),
        ]
        for corner in found.corners
    ]
    columns: list[Col | str] = [words("new_is"), words("status")]
    titles = ("calls_to_send", "from_ledger", "usd")
    columns += [Col(words(title), numeric=True) for title in titles]
    caption = words("corners_caption", n=number(found.n_calls))
    return table("corners", columns, rows, words, caption=caption)


def _priced(corner: PlannedCorner) -> bool:
    """Whether it is missing, and known what it takes."""
    return corner.evaluation is None and not corner.why_not and not corner.not_known


def _state(context: Context, corner: PlannedCorner) -> Cell:
    words = context.words
    if corner.why_not:
        return Cell(words("corner_impossible", why=words.sentence(corner.why_not)), "impossible")
    if corner.not_known:
        return Cell(words("corner_not_known"), "not known")
    if corner.evaluation is None:
        return Cell(words("corner_missing"), "missing")
    opened = link(f"№ {corner.evaluation}", context.view.link("runs", evaluation=corner.evaluation))
    return Cell(join([words("corner_measured"), " ", opened]), corner.evaluation)


def _parts(words: Words, found: Explained) -> object:
    rows: list[list[Any]] = []
    for metric, of in found.as_json()["parts"].items():
        for one in of:
            low, high = one["ci_low"], one["ci_high"]
            between = "" if low is None else f"{number(low)} … {number(high)}"
            rows.append(
                [
                    Cell(join([metric, metric_help(metric, words)]), metric),
                    words.known(f"cause_{one['cause']}", one["cause"]),
                    number_cell(one["part"]),
                    Cell(between, numeric=True),
                    p_cell(one["p_adjusted"]),
                    number_cell(one["n_cases"]),
                ]
            )
    columns: list[Col | str] = [words("measure"), words("which_cause_col")]
    columns += [Col(words(t), numeric=True) for t in ("part_of_change", "interval", "p_holm")]
    columns.append(Col(words("questions"), numeric=True))
    return table("causes", columns, rows, words, caption=words("causes_caption"))
