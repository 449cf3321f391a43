"""Compare, what differs in the inputs: by name, with the words of prompts and the chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page.parts import Page, bullets, heading, paragraph
from rag_bench.dashboard.page.tables import Cell, table
from rag_bench.dashboard.texts import shown

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words
    from rag_bench.reporting.compared.inputs import Difference
    from rag_bench.reporting.compared.shapes import Compared

_CHUNKS = 100
_LINES = 200
_FOLDED = Markup("<details><summary>{}</summary>{}</details>")


def what_differs(context: Context, found: Compared, made: Page) -> None:
    """Add the table of what differs, and below it the chunks and prompts behind the hashes."""
    words = context.words
    made.add(heading(words("inputs_differ")))
    if not found.inputs:
        made.add(paragraph(words("inputs_alike")))
        return
    rows = [
        [
            _named(words, one),
            words.known(f"cause_{one.cause}", one.cause),
            Cell(_short(one.a), str(one.a)),
            Cell(_short(one.b), str(one.b)),
        ]
        for one in found.inputs
    ]
    columns = [words(t) for t in ("what", "cause", "side_a", "side_b")]
    made.add(table("inputs", columns, rows, words, caption=words("inputs_differ")))
    told: list[Any] = []
    for one in found.inputs:
        if one.detail and one.detail not in told:
            told.append(one.detail)
            if one.cause == "judge":
                made.add(*_judges(words, one.detail))
                continue
            made.add(*_prompts(words, one.detail), *_chunks(context, one.detail))


def _judges(words: Words, detail: Mapping[str, Any]) -> list[object]:
    """Return how two judges are linked, or the command that links them."""
    if "unknown" in detail:
        return [paragraph(words.sentence(detail["unknown"]))]
    if "bridge" not in detail:
        return []
    ends = detail["bridge"]
    title = words("judges_linked", old=ends["from"], new=ends["to"], n=ends["evaluation_id"])
    return [_FOLDED.format(title, bullets(detail["links"]))]


def _named(words: Words, one: Difference) -> str:
    """Return what differs; a setting that has no words here keeps the name that it is set by."""
    name, separator, of = one.name.partition(" (")
    return words.known(f"made_{name}", name) + separator + of


def _short(value: Any) -> str:
    said = "" if value is None else str(value)
    return said if len(said) <= 40 else f"{said[:16]}…"


def _prompts(words: Words, detail: Mapping[str, Any]) -> list[object]:
    if "unknown" in detail:
        return [paragraph(words("prompts_unknown"))]
    parts: list[object] = []
    for one in detail.get("prompts", ()):
        title = words(
            "prompt_differs", name=one["name"], plus=one["lines_added"], minus=one["lines_removed"]
        )
        lines = Markup("\n").join(_line(line) for line in one["diff"][:_LINES])
        parts.append(_FOLDED.format(title, Markup('<pre class="rb-diff">{}</pre>').format(lines)))
    return parts


def _line(line: str) -> Markup:
    """Return a line of a diff; what came and went is marked for eyes and for screen readers."""
    tag = {"+": "ins", "-": "del"}.get(line[:1])
    return Markup("<{0}>{1}</{0}>").format(Markup(tag), line) if tag else Markup("{}").format(line)


def _chunks(context: Context, detail: Mapping[str, Any]) -> list[object]:
    words = context.words
    if "unchanged" not in detail:
        return []
    counts = words(
        "chunks_differ",
        added=detail["added"],
        changed=detail["changed"],
        removed=detail["removed"],
        unchanged=detail["unchanged"],
        pages=detail.get("n_pages", 0),
    )
    listed = detail.get("chunks", ())[:_CHUNKS]
    texts = shown(context, [one.get(key, "") for one in listed for key in ("before", "after")])
    rows = [
        [
            words(f"chunk_{one['how']}"),
            one["page_url"],
            Cell(Markup('<div class="rb-long">{}</div>').format(texts[2 * n]), texts[2 * n]),
            Cell(
                Markup('<div class="rb-long">{}</div>').format(texts[2 * n + 1]), texts[2 * n + 1]
            ),
        ]
        for n, one in enumerate(listed)
    ]
    columns = [words(t) for t in ("what", "page_url", "side_a", "side_b")]
    return [paragraph(counts), table("chunks_differ", columns, rows, words, caption=counts)]
