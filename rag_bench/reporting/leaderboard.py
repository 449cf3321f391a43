"""The leaderboard: every triple of models with its metrics, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.store import datasets, evaluations

if TYPE_CHECKING:
    from sqlalchemy import Engine

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By tier (``tier_2``), then by metric name."""


@dataclass(frozen=True)
class Column:
    """One shown metric: where it stands in ``metrics`` and what the table calls it."""

    tier: str
    metric: str
    title: str
    scale: tuple[float, float] | None = None
    higher_is_better: bool = True


COLUMNS = (
    Column("tier_3", "rubric_e2e_quality", "e2e quality", (1, 5)),
    Column("tier_2", "rubric_answer_correctness", "correctness", (1, 5)),
    Column("tier_2", "rubric_faithfulness", "faithfulness", (1, 5)),
    Column("tier_2", "rubric_answer_relevance", "relevance", (1, 5)),
    Column("tier_3", "semantic_similarity", "similarity", (-1, 1)),
    Column("tier_3", "rougeL_f", "ROUGE-L", (0, 1)),
    Column("tier_judge_pipeline", "f1_score", "show F1", (0, 1)),
)
#: By what generation models are ranked under each judge; the first that differs decides.
RANKED_BY = (COLUMNS[0], COLUMNS[1], COLUMNS[4])
SHOW_F1 = COLUMNS[6]
#: In words, for the reader of the JSON.
ORDERED_BY = (
    "generation model: mean rank over the benchmark judges by "
    + ", ".join(f"{column.tier}.{column.metric}" for column in RANKED_BY),
    "production judge: tier_judge_pipeline.f1_score",
    "benchmark judge: as configured, BENCHMARKS_JUDGE_MODEL first",
)


@dataclass(frozen=True)
class Row:
    """One triple of models; a role that was not measured is None."""

    rank: int
    generation_model: str
    benchmark_judge_model: str | None
    production_judge_model: str | None
    metrics: Metrics

    @property
    def simulated(self) -> bool:
        """Whether any of the models is one of ours that only plays a model."""
        models = (self.generation_model, self.benchmark_judge_model, self.production_judge_model)
        return any(model and model.startswith("simulator/sim-") for model in models)

    def metric(self, column: Column) -> Mapping[str, Any] | None:
        """Return a metric's record, None if it was not measured."""
        return self.metrics.get(column.tier, {}).get(column.metric)

    def value(self, column: Column) -> float | None:
        """Return a metric's value, None if there is none."""
        metric = self.metric(column)
        return None if metric is None else metric["value"]

    def as_json(self) -> dict[str, Any]:
        """Return the row for ``--json`` and the report."""
        return {
            "rank": self.rank,
            "generation_model": self.generation_model,
            "benchmark_judge_model": self.benchmark_judge_model,
            "production_judge_model": self.production_judge_model,
            "simulated": self.simulated,
            "metrics": self.metrics,
        }


@dataclass(frozen=True)
class Leaderboard:
    """All triples measured under one settings hash on one dataset."""

    settings_hash: str
    dataset: datasets.DatasetInfo
    rows: Sequence[Row]

    @property
    def n_questions(self) -> int:
        """How many questions were asked: fewer than the dataset has if there was a limit."""
        expected = [
            metric["n_expected"]
            for row in self.rows
            for column in COLUMNS
            if column.tier in ("tier_2", "tier_3") and (metric := row.metric(column))
        ]
        return max(expected, default=self.dataset.n_items)

    def as_json(self) -> dict[str, Any]:
        """Return the board for ``--json`` and the report."""
        return {
            "settings_hash": self.settings_hash,
            "dataset_id": self.dataset.id,
            "dataset": self.dataset.name,
            "dataset_type": self.dataset.kind,
            "n_items": self.dataset.n_items,
            "n_questions": self.n_questions,
            "ordered_by": list(ORDERED_BY),
            "rows": [row.as_json() for row in self.rows],
        }

    def matrix(self, column: Column) -> tuple[list[str], list[str], dict[tuple[str, str], Any]]:
        """Return generators, benchmark judges, and a metric's record per pair of them."""
        generators = list(dict.fromkeys(row.generation_model for row in self.rows))
        judges = sorted(
            {row.benchmark_judge_model for row in self.rows if row.benchmark_judge_model}
        )
        found = {
            (row.generation_model, row.benchmark_judge_model): row.metric(column)
            for row in self.rows
            if row.benchmark_judge_model
        }
        return generators, judges, found

    def production_judges(self) -> dict[str, Mapping[str, Any]]:
        """Return the metrics of each production judge."""
        return {
            row.production_judge_model: row.metrics.get("tier_judge_pipeline", {})
            for row in self.rows
            if row.production_judge_model
        }


def build(engine: Engine, settings_hash: str | None = None) -> Leaderboard:
    """Read the leaderboard of a settings hash, which may be cut short; by default of the newest
    run without a limit.

    Raises:
        RagBenchError: nothing was measured yet, or several settings hashes begin so.
    """
    if settings_hash:
        settings_hash = evaluations.find_settings_hash(engine, settings_hash)
    else:
        settings_hash = evaluations.newest_settings_hash(engine)
    found = evaluations.model_runs(engine, settings_hash) if settings_hash else []
    if not settings_hash or not found:
        raise RagBenchError(
            "There is no result to show yet. Run `rag-bench sweep`, or materialize the assets of "
            "the groups generation and end_to_end."
        )
    rows = [
        Row(
            0,
            row["generation_model"],
            row["benchmark_judge_model"],
            row["production_judge_model"],
            row["metrics"],
        )
        for row in found
    ]
    mean_rank = mean_ranks(rows)
    judges = _configured_judges()
    rows.sort(key=lambda row: _sort_key(row, mean_rank, judges))
    ranked = [Row(rank, *_parts(row)) for rank, row in enumerate(rows, start=1)]
    return Leaderboard(settings_hash, datasets.get_dataset(engine, found[0]["dataset_id"]), ranked)


def _parts(row: Row) -> tuple[str, str | None, str | None, Metrics]:
    return (
        row.generation_model,
        row.benchmark_judge_model,
        row.production_judge_model,
        row.metrics,
    )


def mean_ranks(rows: Sequence[Row]) -> dict[str, float]:
    """Return each generation model's rank (1 is best) under each judge, averaged over judges.

    Judges have scales of their own: sorting by the raw score would put whatever a lenient judge
    saw above everything else. Equal models share the mean of their ranks; a model that a judge
    did not score comes last with that judge.
    """
    generators = sorted({row.generation_model for row in rows})
    cells = {(row.generation_model, row.benchmark_judge_model): row for row in rows}
    ranks: dict[str, list[float]] = {generator: [] for generator in generators}
    # A model that no judge scored has a row without a judge: no judge of its own to be first by.
    judges: set[str | None] = {row.benchmark_judge_model for row in rows}
    for judge in judges - {None} or {None}:
        keys = {g: _quality(cells.get((g, judge))) for g in generators}
        for generator, key in keys.items():
            better = sum(other < key for other in keys.values())
            equal = sum(other == key for other in keys.values())
            ranks[generator].append(better + (equal + 1) / 2)
    return {generator: sum(found) / len(found) for generator, found in ranks.items()}


def _quality(row: Row | None) -> tuple[tuple[bool, float], ...]:
    """Return what two generation models are compared by: smaller is better, missing last."""
    values = [row.value(column) if row else None for column in RANKED_BY]
    return tuple((value is None, -(value or 0.0)) for value in values)


def _configured_judges() -> list[str | None]:
    """Return the benchmark judges in the user's order, the main one first: its scores are the
    headline. The order of the scores themselves would prefer the most lenient judge.
    """
    from rag_bench.llm.providers import Providers, Role

    providers = Providers.from_environment()
    main = providers.resolve_models(Role.benchmark_judge)
    return [*dict.fromkeys([*main, *providers.models_for(Role.benchmark_judge)])]


def _sort_key(
    row: Row, mean_rank: Mapping[str, float], judges: Sequence[str | None]
) -> tuple[Any, ...]:
    f1 = row.value(SHOW_F1)
    judge = row.benchmark_judge_model
    return (
        mean_rank[row.generation_model],
        row.generation_model,
        f1 is None,
        -(f1 or 0.0),
        row.production_judge_model or "",
        judges.index(judge) if judge in judges else len(judges),
        judge or "",
    )
