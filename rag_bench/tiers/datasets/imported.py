"""Results of other tools as evaluations of ours: answers, with the verdicts as labels of a model.

A verdict of a model is never a person's label: it stands beside our judges' scores, to be compared
with them and with people. The questions are stored as a dataset as well, to be asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.people.measures import Measure, measure_of
from rag_bench.evaluation.text.text_folding import fold
from rag_bench.hashing import content_hash, file_sha256, text_hash
from rag_bench.source.foreign.results import Verdict, read_results
from rag_bench.store import datasets, evaluations
from rag_bench.store.datasets import EVALUATED, DatasetInfo, Item
from rag_bench.store.evaluations import Case, NewEvaluation
from rag_bench.store.labels.labels import NewLabel, add_labels

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: Of the records: no tier of a sweep, so it enters no leaderboard.
TIER = "imported"
_ID_DIGITS = 16
_LONGEST_ANNOTATOR, _LONGEST_NOTE = 200, 10_000


@dataclass(frozen=True)
class Imported:
    """What a file of results became.

    Attributes:
        evaluations: of answers, by model.
        n_labels: verdicts that were stored; 0 of a file that was imported before.
        n_ungraded: verdicts that are no grade, so no label.
    """

    format: str
    dataset: DatasetInfo
    evaluations: dict[str, int]
    n_labels: int
    n_ungraded: int
    before: bool


def import_results(engine: Engine, path: Path, *, metric: str, name: str = "") -> Imported:
    """Store a file's questions, answers and verdicts.

    Args:
        engine: of the database.
        path: of promptfoo or Inspect; the content tells.
        metric: of a rubric or RAGAS: what its verdicts are labels by, in our terms.
        name: of the dataset; empty: the file's.

    Raises:
        RagBenchError: as of `read_results`; no such rubric.
    """
    try:
        measure = measure_of(metric)
    except ValueError as error:
        raise RagBenchError(f"{error}.") from None
    if measure.source == "gate":
        raise RagBenchError(f"{metric} is a production judge's verdict: name a rubric or RAGAS'.")
    metric = measure.metric
    form, verdicts = read_results(path)
    items = _items(verdicts)
    source = {"file": path.name, "format": form.name}
    dataset = datasets.save_dataset(engine, name or path.stem, "questions", items, source)
    settings = {"imported": file_sha256(path), "format": form.name, "metric": metric}
    by_model: dict[str, list[Verdict]] = {}
    for one in verdicts:
        by_model.setdefault(f"{form.name.lower()}/{one.model}", []).append(one)
    made: dict[str, int] = {}
    labels, before = 0, True
    with engine.begin() as connection:
        asked = datasets.add_dataset(connection, path.stem, EVALUATED, items)
        for model, mine in sorted(by_model.items()):
            input_hash = content_hash([TIER, settings, model])
            found = evaluations.find_finished(engine, input_hash)
            if found is None:
                before = False
                made[model] = _evaluation(connection, asked.id, settings, model, mine, input_hash)
                labels += add_labels(connection, _labels(made[model], mine, measure))
            else:
                made[model] = found.id
    ungraded = sum(one.value is None for one in verdicts)
    return Imported(form.name, dataset, made, labels, ungraded, before)


def item_id_of(question: str) -> str:
    """Return the id of an imported question: of its text, so that two files have it once."""
    return text_hash(fold(question))[:_ID_DIGITS]


def _items(verdicts: Sequence[Verdict]) -> list[Item]:
    found: dict[str, Item] = {}
    for one in verdicts:
        item_id = item_id_of(one.question)
        if item_id not in found or (one.reference and not found[item_id].reference_answer):
            found[item_id] = Item(item_id, one.question, one.reference)
    return list(found.values())


def _cases(verdicts: Sequence[Verdict]) -> dict[tuple[str, str], str]:
    """Return a case id for each question and answer."""
    found: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    for one in verdicts:
        item_id = item_id_of(one.question)
        if (item_id, one.answer) not in found:
            counts[item_id] = counts.get(item_id, 0) + 1
            number = f"#{counts[item_id]}" if counts[item_id] > 1 else ""
            found[item_id, one.answer] = f"{item_id}{number}"
    return found


def _evaluation(
    connection: Connection,
    dataset_id: str,
    settings: dict[str, str],
    model: str,
    verdicts: Sequence[Verdict],
    input_hash: str,
) -> int:
    new = NewEvaluation(
        tier=TIER,
        kind="answers",
        settings_hash=content_hash(settings),
        settings=settings,
        input_hash=input_hash,
        started_at=datetime.now(UTC),
        generation_model=model,
        dataset_id=dataset_id,
    )
    cases = [Case(case, answer=answer) for (_, answer), case in _cases(verdicts).items()]
    return evaluations.save_evaluation_in(connection, new, cases, n_scored=len(cases)).id


def _labels(evaluation_id: int, verdicts: Sequence[Verdict], measure: Measure) -> list[NewLabel]:
    cases = _cases(verdicts)
    return [
        NewLabel(
            evaluation_id,
            cases[item_id_of(one.question), one.answer],
            measure.metric,
            measure.nearest(one.value),
            f"{one.grader}: {one.metric}"[:_LONGEST_ANNOTATOR],
            "model",
            note=one.note.replace("\x00", "\ufffd")[:_LONGEST_NOTE] or None,
        )
        for one in verdicts
        if one.value is not None
    ]
