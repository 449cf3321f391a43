"""Verdicts and labels as plain JSONL: a line each, with the question and the answer they are of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.rubrics import PREFIX
from rag_bench.store import evaluations
from rag_bench.store.labels.labels import current_labels

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import StoredEvaluation


def verdict_lines(engine: Engine, settings_hash: str) -> Iterator[dict[str, Any]]:
    """Yield what judges and people said of the answers under one settings hash.

    ``by_kind``: ``model`` for our judges and imported verdicts, ``person``, ``user``. ``value`` is
    on the rubric's scale; a case without a score has ``error`` in its place.
    """
    from rag_bench.store import datasets

    found = evaluations.joined(engine, settings_hash)
    answers = {(one.tier, one.generation_model): one for one in found if one.kind == "answers"}
    questions: dict[str, dict[str, str]] = {}
    texts: dict[int, dict[str, str]] = {}

    def about(one: StoredEvaluation, case_id: str) -> dict[str, Any]:
        answered = answers.get((one.tier, one.generation_model), one)
        if answered.id not in texts:
            cases = evaluations.cases_of(engine, answered.id)
            texts[answered.id] = {c.case_id: c.answer or "" for c in cases if not c.repeat}
        if one.dataset_id and one.dataset_id not in questions:
            items = datasets.items_of(engine, one.dataset_id)
            questions[one.dataset_id] = {item.item_id: item.question for item in items}
        return {
            "settings_hash": settings_hash,
            "tier": one.tier,
            "generation_model": one.generation_model,
            "answers_evaluation": answered.id,
            "case_id": case_id,
            "question": questions.get(one.dataset_id or "", {}).get(case_id),
            "answer": texts[answered.id].get(case_id),
        }

    for one in found:
        if one.kind != "scores" or one.generation_model is None:
            continue
        for case in evaluations.cases_of(engine, one.id):
            shared = about(one, case.case_id)
            said = {"by": one.benchmark_judge_model, "by_kind": "model", "evaluation": one.id}
            scores = {n: v for n, v in case.scores.items() if n.startswith(PREFIX)}
            for name, value in sorted(scores.items()):
                reason = case.scores.get(f"reasoning_{name.removeprefix(PREFIX)}")
                line = {**shared, **said, "metric": name, "value": value}
                yield {**line, "reasoning": reason} if reason else line
            if case.error_code:
                yield {**shared, **said, "metric": None, "value": None, "error": case.error_code}
    by_id = {one.id: one for one in answers.values()}
    for label in current_labels(engine, evaluation_ids=list(by_id)):
        yield {
            **about(by_id[label.evaluation_id], label.case_id),
            "by": label.annotator,
            "by_kind": label.annotator_kind,
            "evaluation": None,
            "metric": label.metric,
            "value": label.value,
            "guideline": label.guideline,
            "guideline_version": label.guideline_version,
            "note": label.note,
        }
