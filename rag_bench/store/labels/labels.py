"""Labels: added, never changed. A later one of the same annotator supersedes an earlier one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, insert, or_, select, tuple_

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.people.guidelines import label_fault
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.store.labels.tables import label, label_guideline
from rag_bench.store.tables import evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Select

AnnotatorKind = Literal["person", "model", "user"]
KINDS: tuple[AnnotatorKind, ...] = ("person", "model", "user")
_LONGEST_NAME, _LONGEST_NOTE = 200, 10_000
_GREATEST_ID = 2**63
# Whose label of what a row is, and what it says.
_WHOSE = ("evaluation_id", "case_id", "metric", "annotator", "annotator_kind", "settles")
_SAYS = ("value", "guideline", "guideline_version", "note")


class LabelError(RagBenchError):
    """A label cannot be stored; ``index`` of it among those given, and the ``column`` at fault."""

    def __init__(self, message: str, index: int = 0, column: str = "value") -> None:
        super().__init__(message)
        self.index, self.column = index, column


@dataclass(frozen=True)
class NewLabel:
    """A label of one case by one annotator.

    Attributes:
        evaluation_id: Of the answers.
        case_id: Of the case in it.
        metric: What is labelled: a rubric's, RAGAS' or a verdict's.
        value: On the metric's scale; None: the annotator could not tell.
        annotator: Who; of a model its key.
        annotator_kind: What; a model's or a user's label never stands for a person's.
        settles: Whether it settles what annotators differed on.
        guideline: That it was given by, with ``guideline_version``.
        note: In the annotator's words.
        at: When it was given; None: now.
    """

    evaluation_id: int
    case_id: str
    metric: str
    value: float | None
    annotator: str
    annotator_kind: AnnotatorKind = "person"
    settles: bool = False
    guideline: str | None = None
    guideline_version: int | None = None
    note: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Label(NewLabel):
    """A label as it is stored."""

    id: int = 0
    created_at: datetime | None = None


def add_labels(connection: Connection, given: Sequence[NewLabel]) -> int:
    """Store labels in the caller's transaction; return how many were not there already.

    One that is equal in everything to a stored one, its time as well, is that one; without a time
    it is the annotator's newest of this case, if that says the same. So a file that comes twice
    adds nothing. Of two that differ both are kept, and the later one counts.

    Raises:
        LabelError: one cannot be stored. Then the transaction must not be committed.
    """
    _check_all(connection, given)
    now = datetime.now(UTC)
    rows = [asdict(one) | {"at": one.at or now, "note": one.note or None} for one in given]
    there, newest = _stored(connection, rows)
    new = []
    for one, row in zip(given, rows, strict=True):
        key, of, said = _key(row), _pick(row, _WHOSE), _pick(row, _SAYS)
        if key in there or (one.at is None and newest.get(of) == said):
            continue
        there.add(key)
        newest[of] = said
        new.append(row)
    if new:
        connection.execute(insert(label), new)
    return len(new)


def current_labels(
    engine: Engine,
    *,
    metric: str | None = None,
    evaluation_ids: Collection[int] | None = None,
    kinds: Collection[str] = KINDS,
) -> list[Label]:
    """Return the newest label of each annotator and case, in the order of their ids.

    A withdrawn one (without a value) is left out. A settling one stands beside the others.
    """
    columns = label.c
    of_one = (columns.evaluation_id, columns.case_id, columns.metric)
    who = (columns.annotator, columns.annotator_kind, columns.settles)
    query = select(label).distinct(*of_one, *who).order_by(*of_one, *who, columns.id.desc())
    query = _chosen(query, metric, evaluation_ids, kinds)
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
    found = (Label(**row) for row in rows if row["value"] is not None)
    return sorted(found, key=lambda one: one.id)


def label_history(
    engine: Engine,
    *,
    metric: str | None = None,
    evaluation_ids: Collection[int] | None = None,
    kinds: Collection[str] = KINDS,
) -> list[Label]:
    """Return every label that was ever given, oldest first."""
    query = _chosen(select(label).order_by(label.c.id), metric, evaluation_ids, kinds)
    with engine.connect() as connection:
        return [Label(**row) for row in connection.execute(query).mappings()]


def newest_label_id(engine: Engine) -> int:
    """Return the id of the newest label; 0 if there is none."""
    from sqlalchemy import func

    with engine.connect() as connection:
        return int(connection.execute(select(func.max(label.c.id))).scalar() or 0)


def _chosen(
    query: Select[Any],
    metric: str | None,
    evaluation_ids: Collection[int] | None,
    kinds: Collection[str],
) -> Select[Any]:
    if metric is not None:
        query = query.where(label.c.metric == metric)
    if evaluation_ids is not None:
        query = query.where(label.c.evaluation_id.in_(list(evaluation_ids)))
    return query.where(label.c.annotator_kind.in_(list(kinds)))


def _check_all(connection: Connection, given: Sequence[NewLabel]) -> None:
    there = _evaluations(connection, {one.evaluation_id for one in given})
    cases = set()
    of_case = (evaluation_case.c.evaluation_id, evaluation_case.c.case_id)
    for part in _parts({(one.evaluation_id, one.case_id) for one in given}):
        query = select(*of_case).where(tuple_(*of_case).in_(part), evaluation_case.c.answer != "")
        cases |= {tuple(row) for row in connection.execute(query)}
    known = {
        tuple(row)
        for row in connection.execute(select(label_guideline.c.name, label_guideline.c.version))
    }
    for index, one in enumerate(given):
        fault = _fault(one, there, cases, known)
        if fault:
            raise LabelError(fault[1], index, fault[0])


def _evaluations(connection: Connection, ids: Collection[int]) -> dict[int, bool]:
    """Return those of them that can be labelled, and whether they hold verdicts, not answers."""
    columns, found = evaluation.c, dict[int, bool]()
    wanted = sorted(one for one in ids if 0 < one < _GREATEST_ID)
    query = select(columns.id, columns.kind, columns.production_judge_model).where(
        columns.id.in_(wanted),
        or_(
            and_(columns.kind == "answers", ~columns.generation_model.is_(None)),
            and_(columns.kind == "scores", ~columns.production_judge_model.is_(None)),
        ),
    )
    for row in connection.execute(query):
        found[row.id] = row.kind == "scores"
    return found


def _fault(
    one: NewLabel,
    evaluations: Mapping[int, bool],
    cases: Collection[tuple[Any, ...]],
    guidelines: Collection[tuple[Any, ...]],
) -> tuple[str, str] | None:
    """Return the column at fault and what is wrong with it."""
    if one.evaluation_id not in evaluations:
        return "evaluation_id", f"there is no evaluation of answers {one.evaluation_id}"
    if wrong := label_fault(one.metric, None):
        return "metric", wrong
    if (measure_of(one.metric).source == "gate") is not evaluations[one.evaluation_id]:
        held = "verdicts" if evaluations[one.evaluation_id] else "answers"
        return (
            "metric",
            f"evaluation {one.evaluation_id} holds {held}, which {one.metric} is not of",
        )
    if (one.evaluation_id, one.case_id) not in cases:
        return "case_id", f"evaluation {one.evaluation_id} has no answer to case {one.case_id!r}"
    if wrong := label_fault(one.metric, one.value):
        return "value", wrong
    if not one.annotator.strip() or len(one.annotator) > _LONGEST_NAME:
        return "annotator", f"an annotator has a name of at most {_LONGEST_NAME} letters"
    for column in ("annotator", "note"):
        if "\x00" in (getattr(one, column) or ""):
            return column, "there is a zero byte in it"
    if one.annotator_kind not in KINDS:
        return "annotator_kind", f"{one.annotator_kind!r} is none of {', '.join(KINDS)}"
    if one.annotator_kind == "user":
        return "annotator_kind", "users' ratings are read from the dump, they are not imported"
    if one.settles and one.annotator_kind != "person":
        return "settles", "only a person settles what annotators differ on"
    if one.settles and one.value is None:
        return "value", "a label that settles has a value"
    named = (one.guideline, one.guideline_version)
    if named != (None, None) and named not in guidelines:
        return "guideline", f"there is no guideline {named[0]!r} of version {named[1]}"
    if one.note and len(one.note) > _LONGEST_NOTE:
        return "note", f"a note has at most {_LONGEST_NOTE:,} letters"
    return None


def _stored(
    connection: Connection, rows: Sequence[Mapping[str, Any]]
) -> tuple[set[tuple[Any, ...]], dict[tuple[Any, ...], tuple[Any, ...]]]:
    """Return the keys of the labels of these cases, and what each annotator said last of each."""
    names = list(asdict(NewLabel(0, "", "", None, "")))
    found: set[tuple[Any, ...]] = set()
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    of_case = (label.c.evaluation_id, label.c.case_id)
    for part in _parts({(row["evaluation_id"], row["case_id"]) for row in rows}):
        query = select(*(label.c[name] for name in names)).where(tuple_(*of_case).in_(part))
        for row in connection.execute(query.order_by(label.c.id)).mappings():
            found.add(_key(row))
            newest[_pick(row, _WHOSE)] = _pick(row, _SAYS)
    return found, newest


def _pick(row: Mapping[Any, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _key(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in asdict(NewLabel(0, "", "", None, "")))


def _parts(keys: Iterable[tuple[Any, ...]], size: int = 1000) -> Iterable[list[tuple[Any, ...]]]:
    ordered = sorted(keys)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
