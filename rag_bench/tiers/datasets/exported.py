"""Verdicts and labels as plain JSONL: a line each, with the question and the answer they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.metrics.ragas import RAGAS_ANSWER_NAMES, RAGAS_CONTEXT_NAMES
from rag_bench.evaluation.people.measures import GATE_METRIC
from rag_bench.evaluation.rubrics import PREFIX
from rag_bench.store import datasets, evaluations
from rag_bench.store.labels.labels import current_labels

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import StoredEvaluation

_EXPORTED = frozenset((*RAGAS_ANSWER_NAMES, *RAGAS_CONTEXT_NAMES, GATE_METRIC))
#: Of answers and labelled pairs; what tier judge asks is of its own sample.
_TIERS = frozenset(("2", "3", "eval", "judge_pipeline"))


def verdict_lines(engine: Engine, settings_hash: str) -> Iterator[dict[str, Any]]:
    """Yield what judges and people said of the answers under one settings hash.

    Of benchmark judges the scores by rubrics and by RAGAS, of production judges the verdicts (true:
    show). ``by_kind``: ``model`` for our judges and imported verdicts, ``person``, ``user``.
    ``value`` is on the metric's scale; a case without a score has ``error`` in its place. RAGAS'
    scores of contexts, and verdicts on labelled pairs, are of no generation model.
    """
    found = evaluations.joined(engine, settings_hash)
    texts = _Texts(engine, found, settings_hash)
    for one in found:
        if one.kind not in ("scores", "ragas"):
            continue
        judge = one.benchmark_judge_model or one.production_judge_model
        if judge is None or one.tier not in _TIERS:
            continue
        said = {"by": judge, "by_kind": "model", "evaluation": one.id}
        for case in evaluations.cases_of(engine, one.id):
            shared = texts.about(one, case.case_id)
            scores = {n: v for n, v in case.scores.items() if n in _EXPORTED or _is_rubric(n)}
            for name, value in sorted(scores.items()):
                reason = case.scores.get(_reason_of(name))
                line = {**shared, **said, "metric": name, "value": value}
                yield {**line, "reasoning": reason} if reason else line
            if case.error_code:
                yield {**shared, **said, "metric": None, "value": None, "error": case.error_code}
    by_id = {one.id: one for one in found}
    for label in current_labels(engine, evaluation_ids=list(by_id)):
        yield {
            **texts.about(by_id[label.evaluation_id], label.case_id),
            "by": label.annotator,
            "by_kind": label.annotator_kind,
            "evaluation": None,
            "metric": label.metric,
            "value": label.value,
            "guideline": label.guideline,
            "guideline_version": label.guideline_version,
            "note": label.note,
        }


class _Texts:
    """Questions and answers of what was measured, read once."""

    def __init__(
        self, engine: Engine, found: Sequence[StoredEvaluation], settings_hash: str
    ) -> None:
        self._engine, self._settings = engine, settings_hash
        self._answers = {
            (one.tier, one.generation_model): one for one in found if one.kind == "answers"
        }
        self._questions: dict[str, dict[str, str]] = {}
        self._texts: dict[int, dict[str, str]] = {}

    def about(self, one: StoredEvaluation, case_id: str) -> dict[str, Any]:
        """Return the fields of a line that say what it is of."""
        answered = self._answers.get((one.tier, one.generation_model))
        if answered is None and one.production_judge_model is not None:
            answered = one  # labelled pairs stand with their verdicts
        answers: dict[str, str] = {}
        if answered is not None:
            if answered.id not in self._texts:
                cases = evaluations.cases_of(self._engine, answered.id)
                self._texts[answered.id] = {
                    c.case_id: c.answer or "" for c in cases if not c.repeat
                }
            answers = self._texts[answered.id]
        if one.dataset_id and one.dataset_id not in self._questions:
            items = datasets.items_of(self._engine, one.dataset_id)
            self._questions[one.dataset_id] = {item.item_id: item.question for item in items}
        return {
            "settings_hash": self._settings,
            "tier": one.tier,
            "generation_model": one.generation_model,
            "answers_evaluation": None if answered is None else answered.id,
            "case_id": case_id,
            "question": self._questions.get(one.dataset_id or "", {}).get(case_id),
            "answer": answers.get(case_id),
        }


def _is_rubric(name: str) -> bool:
    return name.startswith(PREFIX)


def _reason_of(name: str) -> str:
    return "reason" if name == GATE_METRIC else f"reasoning_{name.removeprefix(PREFIX)}"
