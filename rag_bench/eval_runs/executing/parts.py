"""A run's cases in parts, each a dataset: so that memory is bounded and results come early."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.store.datasets import GIVEN_ANSWER, GIVEN_CITATIONS, GIVEN_CONTEXTS, Item
from rag_bench.store.eval_runs.results import CaseRow

#: Cases of one part at most; fewer where models are asked, so that results come early.
MOST_CASES = 500
MOST_ASKED = 100


@dataclass(frozen=True)
class Part:
    """Cases that are worked on together.

    Attributes:
        number: from 0; evaluations are linked to it.
        positions: of its cases.
        given: whether they bring their answers.
    """

    number: int
    positions: tuple[int, ...]
    given: bool


def parts_of(
    shapes: Iterable[tuple[int, bool]], *, whole: bool = False, judged: bool = False
) -> list[Part]:
    """Return the parts of a run: cases with answers apart from others.

    Args:
        shapes: each case's position, and whether it brings its answer.
        whole: the cases are those of a stored dataset, which is one part.
        judged: a judge is asked for scores of them.
    """
    given: list[int] = []
    asked: list[int] = []
    for position, brings in shapes:
        (given if brings else asked).append(position)
    found: list[Part] = []
    for positions, brings in ((asked, False), (given, True)):
        asks = judged or not brings
        most = min(MOST_ASKED, MOST_CASES) if asks else MOST_CASES
        size = max(1, len(positions)) if whole else most
        for start in range(0, len(positions), size):
            found.append(Part(len(found), tuple(positions[start : start + size]), brings))
    return found


def chunks_named(rows: Sequence[CaseRow]) -> set[str]:
    """Return the chunks that cases name, whose pages are asked for."""
    found: set[str] = set()
    for row in rows:
        found.update(row.known.get("chunk_hashes") or ())
        found.update(filter(None, row.known.get("context_hashes") or ()))
    return found


def item_of(row: CaseRow, pages: Mapping[str, str]) -> Item:
    """Return a case as a question of a dataset.

    A case that names a chunk which the snapshot has not is not judged by its chunks at all: what
    was found could not be told from what was missed.

    Args:
        row: the case.
        pages: of the chunks that cases name.
    """
    given, known = row.given, row.known
    lacking = known.get("unknown_chunks") or known.get("outdated_chunks")
    relevant = () if lacking else tuple(known.get("chunk_hashes") or ())
    details: dict[str, Any] = {}
    if known.get("lang"):
        details["language"] = known["lang"]
    if given.get("answer") is not None:
        details[GIVEN_ANSWER] = given["answer"]
        details[GIVEN_CONTEXTS] = _contexts(row, pages)
        if given.get("citations") is not None:
            hashes = {str(name): digest for digest, name in (known.get("names") or {}).items()}
            details[GIVEN_CITATIONS] = [hashes.get(str(n), str(n)) for n in given["citations"]]
    return Item(
        row.case_id,
        given["question"],
        given.get("ground_truth_answer"),
        relevant,
        tuple(dict.fromkeys(pages[digest] for digest in relevant if digest in pages)),
        details,
    )


def _contexts(row: CaseRow, pages: Mapping[str, str]) -> list[dict[str, Any]]:
    contexts = row.given.get("contexts") or []
    hashes = row.known.get("context_hashes") or [None] * len(contexts)
    found = []
    for context, digest in zip(contexts, hashes, strict=True):
        named = {"text": context} if isinstance(context, str) else context
        one: dict[str, Any] = {}
        if digest:
            one["chunk_hash"] = digest
            if digest in pages:
                one["page_url"] = pages[digest]
        if named.get("id") is not None:
            one["reference"] = named["id"]
        if named.get("text") is not None:
            one["text"] = named["text"]
        found.append(one)
    return found
