"""The board as JSON: what terminal, UI and report show, for programs."""

from __future__ import annotations

from typing import Any

from rag_bench.evaluation.comparison import Comparison
from rag_bench.evaluation.paired.places import place_json
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.ranking import LEAST_SCORED, Ranking
from rag_bench.llm.config.targets import is_target
from rag_bench.reporting import live_assistants
from rag_bench.reporting.board import (
    GateLine,
    GeneratorLine,
    JudgeLine,
    columns_shown,
    gates,
    generators,
    judges,
    notes,
)
from rag_bench.reporting.leaderboard import (
    SHOW_F1,
    Column,
    Leaderboard,
    gate_value,
    lead_column,
)


def board_json(board: Leaderboard) -> dict[str, Any]:
    """Return the board as fields of the JSON, beside its rows."""
    return {
        "generation_models": [_generator_json(board, line) for line in generators(board)],
        "production_judges": [_gate_json(line) for line in gates(board)],
        "benchmark_judges": [_judge_json(line) for line in judges(board)],
        "ranking": _ranking_json(board.ranking, lead_column(board.rows)),
        "notes": notes(board),
        "instrument_marks": list(board.instrument_marks),
        "never_checked_against_people": list(board.never_checked),
        "never_checked_by_lead_metric": list(board.lead_never_checked),
        **({"against_production": board.baseline.as_json()} if board.baseline else {}),
        **({"by_topic": board.by_topic.as_json()} if board.by_topic else {}),
    }


def _generator_json(board: Leaderboard, line: GeneratorLine) -> dict[str, Any]:
    standing = line.standing
    return {
        "rank": standing.rank,
        "generation_model": line.model,
        "simulated": line.model.startswith("simulator/sim-"),
        "own_retrieval": (
            live_assistants.own_retrieval(line.row.metrics.get("tier_3", {}))
            if is_target(line.model)
            else None
        ),
        "configured": line.configured,
        "not_ranked_because": standing.reason,
        "tied_with_first": standing.tied,
        **place_json(board.ranking.place(standing.model)),
        "standardised": standing.standardised,
        "behind_first": _comparison_json(standing.behind, standing.p_adjusted),
        "n_scored": line.n_scored,
        "n_expected": line.n_expected,
        "by_judge": dict(line.by_judge),
        "judge_shown": line.row.benchmark_judge_model,
        "metrics": {
            f"{column.tier}.{column.metric}": line.row.metric(column)
            for column in (line.lead, *columns_shown(board))
        },
        "avg_latency_ms": line.latency["value"] if line.latency else None,
        "usd_per_1000_answers": line.cost_per_1000,
    }


def _gate_json(line: GateLine) -> dict[str, Any]:
    return {
        "rank": line.rank,
        "production_judge_model": line.model,
        "configured": line.configured,
        "f1_score_if_unreadable_were_wrong": gate_value(line.metric(SHOW_F1.metric)),
        "remark": line.remark or None,
        "usd_per_1000_verdicts": line.cost_per_1000,
        "metrics": dict(line.metrics),
    }


def _judge_json(line: JudgeLine) -> dict[str, Any]:
    return {
        "benchmark_judge_model": line.model,
        "configured": line.configured,
        "orders_models": line.counts,
        "left_out_because": line.reason or None,
        "checked": line.metrics is not None,
        "checked_against_people": line.against_people,
    }


def _ranking_json(ranking: Ranking, lead: Column) -> dict[str, Any]:
    return {
        "by": f"{lead.tier}.{lead.metric}",
        "n_common": ranking.n_common,
        "n_cases": ranking.n_cases,
        "n_clusters": ranking.n_clusters,
        "least_scored": LEAST_SCORED,
        "independent_of_other_models": ranking.independent,
        "first_is_too_high_by": settled(ranking.places.optimism) if ranking.places else None,
    }


def _comparison_json(behind: Comparison | None, p_adjusted: float | None) -> dict[str, Any] | None:
    if behind is None:
        return None
    return {
        **behind.difference.to_json(),
        "p_value": behind.p_value,
        "p_exact": behind.p_exact,
        "p_adjusted": p_adjusted,
        "method": behind.method,
        "minimum_detectable": behind.minimum_detectable,
    }
