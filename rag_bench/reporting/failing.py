"""Where the answers of each model fail, of what is measured under one settings hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.catalogue import known
from rag_bench.evaluation.failures.tree import GOOD, PLACES, Answered, Count, counted
from rag_bench.store import datasets
from rag_bench.store.evaluations import StoredEvaluation, cases_of, joined, newest_settings_hash
from rag_bench.store.evaluations.comparing import find_evaluation
from rag_bench.store.snapshots import chunks_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Whose scores are asked last, where ids are silent: the first that was measured.
SCORES = ("rubric_e2e_quality", "rubric_reference_free_quality", "ragas_answer_correctness")


@dataclass(frozen=True)
class Failing:
    """One model by one judge. ``judge``: None where no answer was scored.

    ``n``: all cases; ``weighted``: questions say how often users ask them.
    """

    model: str
    judge: str | None
    metric: str | None
    n: int
    weighted: bool
    counts: Sequence[Count]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "model": self.model,
            "judge": self.judge,
            "metric": self.metric,
            "good_from": GOOD,
            "n_cases": self.n,
            "weighted_by_traffic": self.weighted,
            "places": [
                {
                    "place": one.place,
                    "means": PLACES[one.place],
                    "n": len(one.cases),
                    "share": round(one.share, 6),
                    "traffic_share": round(one.traffic_share, 6),
                    "cases": list(one.cases),
                }
                for one in self.counts
            ],
        }


def failing(engine: Engine, settings_hash: str | None = None, *, model: str = "") -> list[Failing]:
    """Return where each model's answers of tier 3 fail, by each judge that scored them.

    Args:
        engine: the database.
        settings_hash: None: the newest whole results.
        model: only this one; empty: all.

    Raises:
        RagBenchError: nothing was measured, or not this model.
    """
    settings_hash = settings_hash or newest_settings_hash(engine)
    found = [] if settings_hash is None else joined(engine, settings_hash)
    answers = _answers(engine, settings_hash or "", model)
    if not answers:
        there = sorted({str(one.generation_model) for one in found} - {"None"})
        raise RagBenchError(
            f"No answers of tier 3{f' by {model}' if model else ''} are measured; there: "
            f"{', '.join(there) or 'no model'}."
        )
    shared = _Shared.of(engine, answers[0], found)
    result = []
    for one in answers:
        scored: list[StoredEvaluation | None] = [
            other
            for other in found
            if (other.tier, other.generation_model) == ("3", one.generation_model)
            and other.benchmark_judge_model
            and any(name in other.metrics for name in SCORES)
        ]
        for judged in scored or [None]:
            result.append(_of(engine, one, judged, shared))
    return result


def lines(found: Sequence[Failing]) -> Iterator[str]:
    """Yield it in words."""
    for one in found:
        by = f" by {one.judge}" if one.judge else " (no judge has scored them)"
        failed = sum(len(count.cases) for count in one.counts)
        yield f"{one.model}{by}: {failed} of {one.n} answers fail"
        for count in one.counts:
            traffic = f", {count.traffic_share:.1%} of the traffic" if one.weighted else ""
            some = ", ".join(count.cases[:3])
            yield (
                f"  {count.place:24} {len(count.cases):4}  {count.share:.1%}{traffic}  "
                f"{PLACES[count.place]} ({some})"
            )


@dataclass(frozen=True)
class _Shared:
    """What all models share: questions, what is in the dump, what was found."""

    items: Mapping[str, datasets.Item]
    chunks: frozenset[str]
    pages: frozenset[str]
    found: Mapping[str, frozenset[str]]

    @classmethod
    def of(
        cls, engine: Engine, answers: StoredEvaluation, found: Sequence[StoredEvaluation]
    ) -> _Shared:
        with engine.connect() as connection:
            made = find_evaluation(connection, answers.id)
        assert made is not None, "it is stored"
        items = datasets.items_of(engine, made.dataset_id) if made.dataset_id else []
        chunks = chunks_of(engine, made.dump_sha256) if made.dump_sha256 else []
        retrieval = next((one for one in found if one.tier == "1"), None)
        ranked = {
            case.case_id: _ids(case.retrieved)
            for case in (cases_of(engine, retrieval.id) if retrieval else [])
        }
        return cls(
            {item.item_id: item for item in items},
            frozenset(chunk.chunk_hash for chunk in chunks),
            frozenset(chunk.page_url for chunk in chunks),
            ranked,
        )


def _answers(engine: Engine, settings_hash: str, model: str) -> list[StoredEvaluation]:
    from rag_bench.store.evaluations import latest_of_kind

    every = latest_of_kind(engine, tier="3", kind="answers", settings_hash=settings_hash)
    return [
        one
        for one in every
        if one.status != "failed" and (not model or one.generation_model == model)
    ]


def _of(
    engine: Engine, answers: StoredEvaluation, judged: StoredEvaluation | None, shared: _Shared
) -> Failing:
    metric = next((name for name in SCORES if judged and name in judged.metrics), None)
    scores: dict[str, float] = {}
    if judged is not None and metric is not None:
        entry = known(metric)
        low, high = entry.scale if entry is not None and entry.scale is not None else (0.0, 1.0)
        scores = {
            case.case_id: (float(value) - low) / (high - low)
            for case in cases_of(engine, judged.id)
            if case.repeat == 0 and isinstance(value := case.scores.get(metric), (int, float))
        }
    cases = []
    weighted = False
    for case in cases_of(engine, answers.id):
        item = shared.items.get(case.case_id)
        if case.repeat or item is None:
            continue
        asked = item.details.get("times_asked")
        weighted = weighted or asked is not None
        # A chunk that is named beats its page: an answer may stand in one chunk of ten.
        relevant = frozenset(item.chunk_hashes) or frozenset(item.page_urls)
        there = relevant & (shared.chunks if item.chunk_hashes else shared.pages)
        given = _ids(case.retrieved)
        cited = frozenset(str(one) for one in case.citations or ())
        by_hash = {row.get("chunk_hash"): row.get("page_url") for row in case.retrieved or ()}
        cases.append(
            Answered(
                case.case_id,
                not item.out_of_scope,
                relevant,
                there,
                shared.found.get(case.case_id, frozenset()) | given,
                given,
                cited | {str(by_hash[one]) for one in cited if by_hash.get(one)},
                case.answer,
                "refused" in case.flags,
                item.reference_answer,
                scores.get(case.case_id),
                float(asked or 1),
            )
        )
    return Failing(
        str(answers.generation_model),
        judged.benchmark_judge_model if judged else None,
        metric,
        len(cases),
        weighted,
        counted(cases),
    )


def _ids(rows: Any) -> frozenset[str]:
    """Return the chunks and pages of what is stored of contexts."""
    return frozenset(
        str(row[name]) for row in rows or () for name in ("chunk_hash", "page_url") if row.get(name)
    )
