"""Labelling case by case: what an annotator sees, which case is next, what is stored of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from rag_bench.evaluation.people.measures import Measure, measure_of
from rag_bench.privacy.given_names import place_of, placed
from rag_bench.store import datasets
from rag_bench.store.evaluations.questions import chunk_texts
from rag_bench.store.labels.draws import Draw, DrawError
from rag_bench.store.labels.labels import NewLabel, add_labels, current_labels
from rag_bench.store.public_names import masked_given
from rag_bench.store.tables import evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from rag_bench.store.datasets import Item


@dataclass(frozen=True)
class CaseToLabel:
    """What an annotator reads: what the judge reads, and neither model nor verdict.

    ``answer``, ``reference``, ``contexts``: only where the metric reads them.
    """

    case_id: str
    question: str
    answer: str = ""
    reference: str = ""
    contexts: Sequence[str] = ()


@dataclass(frozen=True)
class Progress:
    """How far an annotator is: their cases in their order, and what they said of them."""

    cases: Sequence[str]
    values: dict[str, float]

    @property
    def n_done(self) -> int:
        """Cases with a label."""
        return sum(case in self.values for case in self.cases)

    def next_after(self, case_id: str | None = None) -> str | None:
        """Return the next case without a label, from a case on and then from the first; None: all
        are labelled.
        """
        start = self.cases.index(case_id) + 1 if case_id in self.cases else 0
        ordered = [*self.cases[start:], *self.cases[:start]]
        return next((case for case in ordered if case not in self.values), None)

    def neighbours(self, case_id: str) -> tuple[str | None, str | None]:
        """Return the cases before and after one."""
        place = self.cases.index(case_id)
        before = self.cases[place - 1] if place else None
        return before, self.cases[place + 1] if place + 1 < len(self.cases) else None


def progress(engine: Engine, draw: Draw, annotator: str) -> Progress:
    """Return how far an annotator is with a draw.

    Raises:
        DrawError: the draw is not for them.
    """
    cases = draw.cases_of(annotator)
    if not cases:
        raise DrawError(
            f"Draw {draw.id} is labelled by {', '.join(draw.annotators)}, not by {annotator!r}."
        )
    given = current_labels(
        engine, metric=draw.metric, evaluation_ids=[draw.evaluation_id], kinds=["person"]
    )
    values = {
        one.case_id: one.value
        for one in given
        if one.annotator == annotator and not one.settles and one.value is not None
    }
    return Progress(cases, values)


def case_to_label(engine: Engine, draw: Draw, case_id: str) -> CaseToLabel:
    """Return what is shown of a case.

    Raises:
        DrawError: the case is not in the draw, or its answer not in the store any more.
    """
    if case_id not in draw.cases:
        raise DrawError(f"Case {case_id!r} is not in draw {draw.id}.")
    columns = evaluation_case.c
    query = (
        select(columns.answer, columns.retrieved, evaluation.c.dataset_id)
        .join(evaluation, evaluation.c.id == columns.evaluation_id)
        .where(
            columns.evaluation_id == draw.evaluation_id,
            columns.case_id == case_id,
            columns.repeat == 0,
        )
    )
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise DrawError(
            f"The answer to case {case_id!r} of draw {draw.id} is not in this store any more: draw "
            "cases of another evaluation. Labels that were given are kept."
        )
    item = datasets.get_item(engine, row.dataset_id, case_id)
    if item is None:
        raise DrawError(f"The dataset of draw {draw.id} has no case {case_id!r} any more.")
    reads = measure_of(draw.metric).reads
    return CaseToLabel(
        case_id,
        item.question,
        row.answer if "answer" in reads else "",
        item.reference_answer or "" if "reference_answer" in reads else "",
        _contexts(engine, measure_of(draw.metric), row.retrieved or [], item),
    )


def _contexts(
    engine: Engine, measure: Measure, retrieved: Sequence[Mapping[str, Any]], item: Item
) -> list[str]:
    """Return the texts that an answer was made from: what was retrieved, or a client brought; else
    the relevant chunks; of labelled pairs theirs.
    """
    if "context" not in measure.reads:
        return []
    if measure.source == "gate":
        given = item.details.get("context") or []
        return [given] if isinstance(given, str) else list(given)
    places = [(str(one.get("chunk_hash") or ""), str(one.get("text") or "")) for one in retrieved]
    places = [place for place in places if any(place)]
    if not places:
        places = [(one, "") for one in item.chunk_hashes]
    texts = chunk_texts(engine, [digest for digest, text in places if digest and not text])
    return [text or texts[digest][1] for digest, text in places if text or digest in texts]


def case_names(
    engine: Engine, draw: Draw, cases: Collection[str], *, unmasked: bool = False
) -> dict[str, str]:
    """Return what stands for ids of a draw's cases, by id: with their places, where personal data
    is in them.
    """
    if unmasked:
        return {case: case for case in cases}
    wanted = set(cases)
    places = {case: place for place, case in enumerate(draw.cases, 1) if case in wanted}
    return placed(places, lambda texts: masked_given(engine, texts))


def case_named(engine: Engine, draw: Draw, name: str) -> str:
    """Return the case of a draw that is named by its id or by what stands for it."""
    place = place_of(name)
    if name in draw.cases or place is None or not 0 < place <= len(draw.cases):
        return name
    case = draw.cases[place - 1]
    stands = placed({case: place}, lambda texts: masked_given(engine, texts))
    return case if stands[case] == name else name


def label_case(
    connection: Connection,
    draw: Draw,
    case_id: str,
    value: float | None,
    annotator: str,
    *,
    note: str | None = None,
    settles: bool = False,
) -> None:
    """Store what a person says of a drawn case, by the draw's guideline.

    Raises:
        DrawError: the case is not in the draw.
        LabelError: the value or the annotator cannot be.
    """
    if case_id not in draw.cases:
        raise DrawError(f"Case {case_id!r} is not in draw {draw.id}.")
    if not settles and draw.annotators and case_id not in draw.cases_of(annotator):
        raise DrawError(f"Case {case_id!r} of draw {draw.id} is not for {annotator!r} to label.")
    add_labels(connection, [new_label(draw, case_id, value, annotator, note, settles)])


def new_label(
    draw: Draw,
    case_id: str,
    value: float | None,
    annotator: str,
    note: str | None = None,
    settles: bool = False,
) -> NewLabel:
    """Return a person's label of a drawn case."""
    made = NewLabel(draw.evaluation_id, case_id, draw.metric, value, annotator.strip())
    return replace(
        made,
        settles=settles,
        guideline=draw.guideline,
        guideline_version=draw.guideline_version,
        note=(note or "").strip() or None,
    )
