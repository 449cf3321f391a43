"""The leaderboard: every triple of models with its metrics, best first.

Which model is first is decided in `rag_bench.evaluation.ranking`, on the cases that the judges
scored for every model; `rag_bench.reporting.board` shows one row per model.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.judge_requirements import failed_requirements
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.ranking import Cell, Ranking, rank
from rag_bench.reporting.columns import COLUMNS as COLUMNS
from rag_bench.reporting.columns import RANKED_BY as RANKED_BY
from rag_bench.reporting.columns import SHOW_F1 as SHOW_F1
from rag_bench.reporting.columns import Column as Column
from rag_bench.reporting.columns import Metrics, columns_of, ranked_by
from rag_bench.reporting.columns import column as column
from rag_bench.reporting.corrected import corrected_json, corrections_of
from rag_bench.reporting.instruments import board_marks
from rag_bench.reporting.production import Baseline, baseline_of
from rag_bench.reporting.topic_scores import TopicScores, topic_scores
from rag_bench.retrievers import DEFAULT
from rag_bench.store import datasets, evaluations
from rag_bench.store.case_scores import CaseScores, case_scores
from rag_bench.store.labels.checked import Scored, never_checked, never_checked_by
from rag_bench.store.public_names import with_name_masked

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.labels.judged import Corrections


def ordered_by(rows: Sequence[Row]) -> list[str]:
    """Say in words what the order rests on, for the reader of the JSON."""
    columns = ranked_by(row.metrics for row in rows)
    return [
        "generation model: mean over benchmark judges, each standardised, on the cases that a "
        "judge scored for every ranked model, by "
        + ", ".join(f"{column.tier}.{column.metric}" for column in columns)
        + "; models with less than 95 % of their cases scored come last, unranked",
        f"production judge: {SHOW_F1.tier}.{SHOW_F1.metric} if every unreadable reply were wrong",
        "benchmark judge: as configured, BENCHMARKS_JUDGE_MODEL first",
    ]


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
        return column.of(self.metrics)

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
class Configured:
    """The models that the environment names now, by role; the main benchmark judge first."""

    generation: Sequence[str]
    benchmark_judges: Sequence[str]
    production_judges: Sequence[str]


@dataclass(frozen=True)
class Leaderboard:
    """All triples measured under one settings hash on one dataset.

    ``given_ranking``: how the models stand, if their cases were read. ``costs``: what a call of a
    model costs on average in USD, by role and model, where prices are known. ``configured``: None
    if it is not known. ``baseline``: the models against what users got; None where that was not
    measured. ``instrument_marks``: which models did not stay the same while they were asked.
    ``by_topic``: scores by topic of users' traffic; None where the questions are in no topics.
    ``corrections``: scores corrected by people's labels; None where nobody labelled.
    ``never_checked``: benchmark judges that nobody's labels say anything of, by no metric;
    ``lead_never_checked``: by the measure that orders the models.
    """

    settings_hash: str
    dataset: datasets.DatasetInfo
    rows: Sequence[Row]
    given_ranking: Ranking | None = None
    costs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    configured: Configured | None = None
    retriever: str = DEFAULT
    baseline: Baseline | None = None
    instrument_marks: Sequence[str] = ()
    by_topic: TopicScores | None = None
    corrections: Corrections | None = None
    never_checked: Sequence[str] = ()
    lead_never_checked: Sequence[str] = ()

    @cached_property
    def ranking(self) -> Ranking:
        """How the generation models stand; by their means alone if no case was read."""
        return self.given_ranking or ranking_of(self.rows, {}, {}, judges_of(self.rows))

    @property
    def topic_note(self) -> str:
        """The leader's score weighted to traffic, in words; empty where that is not known."""
        leader = next((row for row in self.rows if row.benchmark_judge_model), None)
        if self.by_topic is None or leader is None:
            return ""
        return self.by_topic.sentence(leader.generation_model, leader.benchmark_judge_model)

    @cached_property
    def n_questions(self) -> int:
        """How many questions were asked: fewer than the dataset has if there was a limit."""
        columns = columns_of((row.metrics for row in self.rows), COLUMNS)
        expected = [
            metric["n_expected"]
            for row in self.rows
            for column in columns
            if column.tier in ("tier_2", "tier_3") and (metric := row.metric(column))
        ]
        return max(expected, default=self.dataset.n_items)

    def as_json(self) -> dict[str, Any]:
        """Return the board for ``--json`` and the report."""
        from rag_bench.reporting.details.board_json import board_json

        return {
            "settings_hash": self.settings_hash,
            "retriever": self.retriever,
            "dataset_id": self.dataset.id,
            "dataset": self.dataset.name,
            "dataset_type": self.dataset.kind,
            "n_items": self.dataset.n_items,
            "n_questions": self.n_questions,
            "ordered_by": ordered_by(self.rows),
            "rows": [row.as_json() for row in self.rows],
            **board_json(self),
            **corrected_json(self.corrections),
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
    configured = configured_models()
    judges = judges_of(rows, configured.benchmark_judges)
    dataset_id = found[0]["dataset_id"]
    pages = {item.item_id: item.cluster for item in datasets.items_of(engine, dataset_id)}
    cases = _cases_of(engine, settings_hash, rows)
    ranking = ranking_of(rows, cases, pages, judges)
    generators = [standing.model for standing in ranking.standings]
    gates = ordered_gates(rows)
    rows.sort(
        key=lambda row: (
            generators.index(row.generation_model),
            gates.index(row.production_judge_model) if row.production_judge_model else -1,
            judges.index(row.benchmark_judge_model),
        )
    )
    return Leaderboard(
        settings_hash,
        with_name_masked(engine, datasets.get_dataset(engine, dataset_id)),
        [replace(row, rank=rank) for rank, row in enumerate(rows, start=1)],
        ranking,
        _costs(engine),
        configured,
        _retriever_of(engine, settings_hash),
        baseline_of(engine, settings_hash, pages),
        board_marks(engine, settings_hash),
        topic_scores(engine, dataset_id, lead_column(rows), cases, pages),
        corrections_of(engine, settings_hash, rows),
        never_checked(engine, (row.benchmark_judge_model for row in rows)),
        _lead_never_checked(engine, rows),
    )


def _lead_never_checked(engine: Engine, rows: Sequence[Row]) -> list[str]:
    lead = lead_column(rows).metric
    judges = (row.benchmark_judge_model for row in rows)
    return [one.judge for one in never_checked_by(engine, (Scored(j, lead) for j in judges if j))]


def _retriever_of(engine: Engine, settings_hash: str) -> str:
    measured = evaluations.MeasuredSettings.newest_first(engine)
    return next(one.retriever for one in measured if one.settings_hash == settings_hash)


def ranking_of(
    rows: Sequence[Row],
    cases: CaseScores,
    pages: Mapping[str, Hashable],
    judges: Sequence[str | None],
) -> Ranking:
    """Return how the generation models of the rows stand.

    ``cases``: their scores by the leading measure, case by case; what is not there is compared by
    its mean. ``pages``: each case's page. ``judges``: in the user's order.
    """
    ranking = ranked_by(row.metrics for row in rows)
    lead = lead_column(rows)
    by_judge = lead.metric.startswith("rubric_")
    least = lead.scale[0] if lead.scale else 0.0
    cells: dict[tuple[str, str | None], Cell] = {}
    of_judge: dict[str, Mapping[str, Any]] = {}
    then_by: dict[str, list[list[float]]] = {}
    for row in rows:
        judge = row.benchmark_judge_model
        if judge and "tier_judge" in row.metrics:
            of_judge[judge] = row.metrics["tier_judge"]
        metric = row.metric(lead)
        key = (row.generation_model, judge if by_judge else None)
        if metric is None or key in cells or (by_judge and judge is None):
            continue
        cells[key] = Cell(
            metric["value"], metric["n_scored"], metric["n_expected"], cases.get(key, {}), least
        )
        others = [(column, row.value(column)) for column in ranking if column is not lead]
        then_by.setdefault(row.generation_model, []).append(
            [_worst(column) if value is None else value for column, value in others]
        )
    failed = {judge: failed_requirements(metrics) for judge, metrics in of_judge.items()}
    spreads = {
        judge: spread
        for judge, metrics in of_judge.items()
        if (spread := metrics.get("score_std", {}).get("value"))
    }
    return rank(
        cells,
        pages,
        judges=judges if by_judge else [None],
        failed_judges={judge: "; ".join(reasons) for judge, reasons in failed.items() if reasons},
        spreads=spreads,
        then_by={
            model: [sum(values) / len(values) for values in zip(*found, strict=True)]
            for model, found in then_by.items()
        },
        models=sorted({row.generation_model for row in rows}),
    )


def lead_column(rows: Sequence[Row]) -> Column:
    """Return the measure that models are ranked by: the first of `ranked_by` that has a value."""
    ranking = ranked_by(row.metrics for row in rows)
    for one in ranking:
        if any(row.value(one) is not None for row in rows):
            return one
    return ranking[0]


def _worst(column: Column) -> float:
    return column.scale[0] if column.scale else float("-inf")


def _cases_of(engine: Engine, settings_hash: str, rows: Sequence[Row]) -> CaseScores:
    lead = lead_column(rows)
    return case_scores(
        engine,
        settings_hash,
        tier=lead.tier.removeprefix("tier_"),
        kind="scores" if lead.metric.startswith("rubric_") else "answers",
        metric=lead.metric,
    )


def gate_value(metric: Mapping[str, Any] | None) -> float | None:
    """Return what a production judge is ordered by: F1 if every unreadable reply were wrong."""
    if metric is None or metric["value"] is None:
        return None
    return float(metric.get("low_if_missing", metric["value"]))


def ordered_gates(rows: Sequence[Row]) -> list[str]:
    """Return the production judges, best first; those without a value last."""
    found = {
        row.production_judge_model: row.metric(SHOW_F1)
        for row in rows
        if row.production_judge_model
    }

    def key(gate: str) -> tuple[bool, float, float, str]:
        value, shown = gate_value(found[gate]), (found[gate] or {}).get("value")
        return value is None, -settled(value or 0.0), -settled(shown or 0.0), gate

    return sorted(found, key=key)


def judges_of(rows: Sequence[Row], configured: Sequence[str] = ()) -> list[str | None]:
    """Return the benchmark judges of the rows in the user's order, the main one first: its scores
    are the headline. The order of the scores themselves would prefer the most lenient judge. None,
    for what no judge scored, is the last.
    """
    there = {row.benchmark_judge_model for row in rows}
    named = [judge for judge in configured if judge in there]
    others = sorted(judge for judge in there - set(named) if judge is not None)
    return [*named, *others, None]


def configured_models() -> Configured:
    """Return the models that the environment names now."""
    from rag_bench.llm.config.providers import Providers, Role

    providers = Providers.from_environment()
    main = providers.resolve_models(Role.benchmark_judge)
    return Configured(
        providers.generators(),
        [*dict.fromkeys([*main, *providers.models_for(Role.benchmark_judge)])],
        providers.models_for(Role.production_judge),
    )


def _costs(engine: Engine) -> dict[tuple[str, str], float]:
    """Return what a call costs on average, by role and model, over all calls with a price."""
    from rag_bench.store.calls import usage

    found: dict[tuple[str, str], float] = {}
    with engine.connect() as connection:
        for used in usage(connection):
            priced = used.n_ok + used.n_discarded - used.n_cost_unknown
            if used.cost_usd is not None and priced > 0:
                found[used.role, f"{used.provider}/{used.model}"] = float(used.cost_usd) / priced
    return found
