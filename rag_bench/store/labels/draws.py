"""Cases drawn at random from the answers of an evaluation, and who labels which in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, insert, select

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.hashing import text_hash
from rag_bench.store import datasets
from rag_bench.store.eval_runs.tables import eval_run_evaluation
from rag_bench.store.labels.guidelines import Guideline
from rag_bench.store.labels.tables import label_draw, label_draw_case
from rag_bench.store.tables import evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Purpose = Literal["check", "tune"]
_DIGITS = 19


class DrawError(RagBenchError):
    """Nothing can be drawn as it was asked; the message says what to do."""


@dataclass(frozen=True)
class Draw:
    """A random sample of an evaluation's answers.

    Attributes:
        evaluation_id: The evaluation that holds the answers, or a production judge's verdicts.
        metric: What is labelled.
        n_cases: Answers that it was drawn from.
        n_shared: The first so many cases are labelled by all annotators.
        annotators: Who labels; empty: whoever comes labels all.
        purpose: ``check``; of ``tune`` prompts may be tuned on it, so it checks no judge.
        cases: In the order in which they were drawn.
    """

    id: int
    evaluation_id: int
    metric: str
    seed: int
    size: int
    n_cases: int
    n_shared: int
    annotators: tuple[str, ...]
    purpose: str
    guideline: str
    guideline_version: int
    user_id: str | None
    created_at: datetime
    cases: tuple[str, ...]

    def cases_of(self, annotator: str) -> list[str]:
        """Return what an annotator is to label, in an order of their own.

        The order is random for each, so that neither tiredness nor an end before the last case
        falls on the same cases. Empty for somebody whom the draw does not name.
        """
        mine = list(self.cases)
        if self.annotators:
            if annotator not in self.annotators:
                return []
            place = self.annotators.index(annotator)
            n = len(self.annotators)
            mine = [
                case
                for position, case in enumerate(self.cases)
                if position < self.n_shared or position % n == place
            ]
        return sorted(mine, key=lambda case: text_hash(f"{self.id} {annotator} {case}"))


def answers_of(engine: Engine, evaluation_id: int, metric: str = "") -> int:
    """Return the evaluation that holds what is labelled: itself, or that of the answers it scored.

    Args:
        engine: Of the store.
        evaluation_id: Of answers, or of scores of them; for verdicts of a production judge's.
        metric: What is labelled; empty: answers.

    Raises:
        DrawError: there is none, or it has nothing that the metric is of.
    """
    columns = evaluation.c
    query = select(
        columns.kind,
        columns.generation_model,
        columns.inputs["answers_evaluation"].as_integer().label("answers"),
        columns.production_judge_model,
    ).where(columns.id == evaluation_id)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise DrawError(
            f"There is no evaluation {evaluation_id}: `rag-bench label evaluations` lists those "
            "that can be labelled."
        )
    if metric and measure_of(metric).source == "gate":
        if row.kind == "scores" and row.production_judge_model is not None:
            return evaluation_id
        raise DrawError(
            f"Evaluation {evaluation_id} holds no verdicts of a production judge: `rag-bench label "
            f"evaluations --metric {metric}` lists those that do."
        )
    if row.generation_model is None or (row.kind != "answers" and row.answers is None):
        raise DrawError(
            f"Evaluation {evaluation_id} holds no answers of a generation model, so there is "
            "nothing to label: `rag-bench label evaluations` lists those that can be."
        )
    return evaluation_id if row.kind == "answers" else int(row.answers)


def answers_of_run(engine: Engine, run_id: str) -> list[int]:
    """Return the evaluations of answers that a run of the service made, a part each.

    Raises:
        DrawError: there is no such run, or it has no answers yet.
    """
    part = eval_run_evaluation.c
    query = (
        select(evaluation.c.id)
        .join(eval_run_evaluation, part.evaluation_id == evaluation.c.id)
        .where(
            part.run_id == run_id,
            evaluation.c.kind == "answers",
            ~evaluation.c.generation_model.is_(None),
        )
        .distinct()
        .order_by(evaluation.c.id)
    )
    with engine.connect() as connection:
        found = [int(one) for one in connection.execute(query).scalars()]
    if not found:
        raise DrawError(
            f"There is no run {run_id!r} with answers: `rag-bench eval list` lists them. A run has "
            "answers to label when a part of it has ended."
        )
    return found


def evaluations_named(engine: Engine, name: str, metric: str) -> list[int]:
    """Return what a name stands for: an evaluation's number, or a run of the service.

    Raises:
        DrawError: there is none, or it has nothing that the metric is of.
    """
    if name.isascii() and name.isdigit() and len(name) < _DIGITS:
        return [answers_of(engine, int(name), metric)]
    if measure_of(metric).source == "gate":
        raise DrawError(f"A run of the service has no verdicts of a production judge: {name!r}.")
    return answers_of_run(engine, name)


def labelable(engine: Engine, evaluation_id: int, metric: str) -> list[str]:
    """Return the cases of an evaluation that can be labelled by a metric, sorted.

    Those with an answer to a question that should be answered; with a reference answer, if the
    metric reads one; with chunks, if it is of these. Of verdicts all labelled pairs.
    """
    measure = measure_of(metric)
    columns = evaluation_case.c
    answered = select(columns.case_id).where(
        columns.evaluation_id == evaluation_id, columns.repeat == 0, columns.answer != ""
    )
    if measure.source == "contexts":
        answered = answered.where(func.jsonb_array_length(columns.retrieved) > 0)
    with engine.connect() as connection:
        cases = set(connection.execute(answered).scalars())
        query = select(evaluation.c.dataset_id).where(evaluation.c.id == evaluation_id)
        dataset_id = connection.execute(query).scalar_one_or_none()
    items = datasets.items_of(engine, dataset_id) if dataset_id else []
    return sorted(
        item.item_id
        for item in items
        if item.item_id in cases
        and not item.out_of_scope
        and (item.reference_answer or not measure.needs_reference)
    )


def draw_of_all(
    engine: Engine,
    evaluations: Sequence[int],
    metric: str,
    guideline: Guideline,
    *,
    size: int,
    seed: int = 0,
    annotators: Sequence[str] = (),
    n_shared: int | None = None,
    purpose: Purpose = "check",
    user_id: str | None = None,
    connection: Connection | None = None,
) -> list[Draw]:
    """Draw ``size`` cases at random over several evaluations, a draw in each that has some of them.

    A run of the service keeps its cases in parts, and a case is drawn with the same chance in each.

    Raises:
        DrawError: as of `draw`.
    """
    there = [
        (_order(seed, case), one) for one in evaluations for case in labelable(engine, one, metric)
    ]
    if not there:
        answers = ", ".join(map(str, evaluations))
        raise DrawError(_nothing(answers, metric))
    counts = Counter(one for _, one in sorted(there)[: max(size, 1)])
    drawn = sum(counts.values())
    shares = _apportioned(n_shared, [counts[one] for one in evaluations if one in counts], drawn)
    found = []
    for one, shared in zip((e for e in evaluations if e in counts), shares, strict=True):
        found.append(
            draw(
                engine,
                one,
                metric,
                guideline,
                size=counts[one] if size > 0 else size,
                seed=seed,
                annotators=annotators,
                n_shared=shared,
                purpose=purpose,
                user_id=user_id,
                connection=connection,
            )
        )
    return found


def _apportioned(n: int | None, counts: Sequence[int], total: int) -> list[int | None]:
    """Return how much of ``n`` falls on each count, in proportion; in all it is ``n``."""
    if n is None:
        return [None] * len(counts)
    if n > total:
        return [n] * len(counts)  # more than there are: `draw` says so
    found, before, seen = [], 0, 0
    for count in counts:
        seen += count
        upto = n * seen // total
        found.append(upto - before)
        before = upto
    return list(found)


def _order(seed: int, case: str) -> str:
    return text_hash(f"{seed} {case}")


def _nothing(evaluations: str, metric: str) -> str:
    return (
        f"Nothing of evaluation {evaluations} can be labelled by {metric}: no answer was given, or "
        "it reads reference answers or chunks and there are none."
    )


def draw(
    engine: Engine,
    evaluation_id: int,
    metric: str,
    guideline: Guideline,
    *,
    size: int,
    seed: int = 0,
    annotators: Sequence[str] = (),
    n_shared: int | None = None,
    purpose: Purpose = "check",
    user_id: str | None = None,
    connection: Connection | None = None,
) -> Draw:
    """Draw cases at random and keep which.

    Which are drawn follows from seed and case alone: the same seed draws the same questions of
    each model, and a larger draw holds the smaller one.

    Args:
        engine: Of the store.
        evaluation_id: Of answers, or of scores of them.
        metric: What is labelled.
        guideline: That annotators go by.
        size: Cases; all there are, if there are fewer.
        seed: Of the draw.
        annotators: Who labels.
        n_shared: Cases that all of them label; None: all, which is also meant with one annotator.
        purpose: What its labels may be used for.
        user_id: Who draws.
        connection: With a transaction that it is to be a part of; None: one of its own.

    Raises:
        DrawError: nothing to draw from, or a size or a part that cannot be.
    """
    if size < 1:
        raise DrawError(f"A draw has at least one case, not {size}.")
    if len(set(annotators)) != len(annotators) or not all(name.strip() for name in annotators):
        raise DrawError("Each annotator is named once, and by a name.")
    answers = answers_of(engine, evaluation_id, metric)
    there = labelable(engine, answers, metric)
    if not there:
        raise DrawError(_nothing(str(answers), metric))
    ordered = sorted(there, key=lambda case: _order(seed, case))
    cases = ordered[:size]
    shared = len(cases) if n_shared is None or len(annotators) < 2 else n_shared
    if not 0 <= shared <= len(cases):
        raise DrawError(f"Of {len(cases)} cases {shared} cannot be labelled by all.")
    values = {
        "evaluation_id": answers,
        "metric": metric,
        "seed": seed,
        "size": len(cases),
        "n_cases": len(there),
        "n_shared": shared,
        "annotators": list(annotators),
        "purpose": purpose,
        "guideline": guideline.name,
        "guideline_version": guideline.version,
        "user_id": user_id,
    }
    with engine.begin() if connection is None else nullcontext(connection) as connection:
        made = insert(label_draw).values(values).returning(label_draw.c.id)
        draw_id = connection.execute(made).scalar_one()
        connection.execute(
            insert(label_draw_case),
            [
                {"draw_id": draw_id, "position": position, "case_id": case}
                for position, case in enumerate(cases)
            ],
        )
        return _draws(connection, [int(draw_id)])[0]


def get_draw(engine: Engine, draw_id: int) -> Draw:
    """Return a draw.

    Raises:
        DrawError: there is none.
    """
    with engine.connect() as connection:
        found = _draws(connection, [draw_id])
    if not found:
        raise DrawError(f"There is no draw {draw_id}: `rag-bench label draws` lists them.")
    return found[0]


def draws(engine: Engine, evaluation_ids: Collection[int] | None = None) -> list[Draw]:
    """Return all draws, newest first; of some evaluations of answers only, if they are named."""
    query = select(label_draw.c.id).order_by(label_draw.c.id.desc())
    if evaluation_ids is not None:
        query = query.where(label_draw.c.evaluation_id.in_(list(evaluation_ids)))
    with engine.connect() as connection:
        ids = list(connection.execute(query).scalars())
        return _draws(connection, ids)


def _draws(connection: Connection, ids: Sequence[int]) -> list[Draw]:
    cases: dict[int, list[str]] = {}
    of_draws = select(label_draw_case).where(label_draw_case.c.draw_id.in_(list(ids)))
    for row in connection.execute(of_draws.order_by(label_draw_case.c.position)):
        cases.setdefault(row.draw_id, []).append(row.case_id)
    query = select(label_draw).where(label_draw.c.id.in_(list(ids)))
    return [
        Draw(
            **{**row, "annotators": tuple(row["annotators"])}, cases=tuple(cases.get(row["id"], ()))
        )
        for row in connection.execute(query.order_by(label_draw.c.id.desc())).mappings()
    ]
