"""What a person reads about the leaderboard in the UI: one row per model, and numbers to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.describe import bars, heatmap, number, picture, span, table
from rag_bench.evaluation.types import few_pages

if TYPE_CHECKING:
    from rag_bench.reporting.board import GateLine, GeneratorLine
    from rag_bench.reporting.leaderboard import Leaderboard

# A table of more columns does not fit a page.
_JUDGES_SHOWN = 10


def board_metadata(board: Leaderboard) -> dict[str, Any]:
    """Return the board as metadata: tables first, which the UI shows as they are; then pictures;
    then numbers, which it plots over time.
    """
    from rag_bench.reporting.board import generators, notes
    from rag_bench.reporting.leaderboard import column, lead_column

    lines, lead, best = generators(board), lead_column(board.rows), board.rows[0]
    metadata: dict[str, Any] = {
        "table": _generator_table(board, lines),
        "by_judge": _by_judge(board, lines),
        **_baseline(board),
        "production_judges": _gate_table(board),
        "benchmark_judges": _judge_table(board),
        "notes": dg.MetadataValue.md("\n".join(f"- {_plain(note)}" for note in notes(board))),
        "plot": picture(_bars(board, lines)),
        "heatmap": picture(
            heatmap(
                f"{lead.title} by judge: compare within a column",
                [line.model for line in lines],
                list(lines[0].by_judge),
                [[_value(metric) for metric in line.by_judge.values()] for line in lines],
            )
        ),
        "n_combinations": len(board.rows),
        "n_generation_models": len(lines),
        "best_generation_model": best.generation_model,
        "best_production_judge": best.production_judge_model or "–",
        "settings_hash": board.settings_hash,
        "retriever": board.retriever,
        "dataset": str(board.dataset),
        "n_questions": board.n_questions,
        "simulated_models_present": any(row.simulated for row in board.rows),
    }
    if (value := best.value(column("3", "rubric_e2e_quality"))) is not None:
        metadata["best_e2e_quality"] = value
        metadata["best_e2e_quality_judged_by"] = best.benchmark_judge_model or "–"
    return metadata | _followed(lines)


def _followed(lines: list[GeneratorLine]) -> dict[str, float | int]:
    """Return what is followed over the weeks, as numbers: of the leader and of every model."""
    found: dict[str, float | int | None] = {}
    leader = lines[0]
    for name in ("chunk_hit_rate@1", "chunk_mrr"):
        found[name] = _value(leader.row.metrics.get("tier_1", {}).get(name))
    if leader.n_expected:
        found["leader_share_scored"] = leader.n_scored / leader.n_expected
    found["leader_usd_per_1000_answers"] = leader.cost_per_1000
    found["n_cases_not_scored"] = sum(line.n_expected - line.n_scored for line in lines)
    for line in lines:
        found[f"{line.lead.metric}: {line.model}"] = line.row.value(line.lead)
    return {name: value for name, value in found.items() if value is not None}


def _generator_table(board: Leaderboard, lines: list[GeneratorLine]) -> dg.TableMetadataValue:
    from rag_bench.reporting.board import columns_shown

    lead = lines[0].lead
    scale = f" ({lead.scale[0]:g} to {lead.scale[1]:g})" if lead.scale else ""
    shown = columns_shown(board)
    # The page cuts what is wide: what models are chosen by comes first.
    columns = ["#", "generation model", f"{lead.title}{scale}", "behind the first", "scored"]
    columns += ["latency, ms", "USD per 1,000", *(column.title for column in shown)]
    return table(
        columns,
        [
            [
                line.place,
                line.label,
                _with_interval(line.row.metric(lead)),
                line.against_first,
                f"{line.n_scored} of {line.n_expected}",
                number(_value(line.latency), 0),
                number(line.cost_per_1000, 2),
                *(number(line.row.value(column)) for column in shown),
            ]
            for line in lines
        ],
    )


def _baseline(board: Leaderboard) -> dict[str, Any]:
    """Return the models against what users got, and judges' scores beside users' ratings."""
    from rag_bench.reporting.production import against_table, ratings_table

    if board.baseline is None:
        return {}
    found = {"against_production": table(*against_table(board.baseline))}
    if board.baseline.ratings:
        found["scores_by_rating"] = table(*ratings_table(board.baseline.ratings))
    return found


def _by_judge(board: Leaderboard, lines: list[GeneratorLine]) -> dg.TableMetadataValue:
    from rag_bench.store.labels.checked import NEVER_CHECKED

    judges = list(lines[0].by_judge)[:_JUDGES_SHOWN]
    rows = []
    for line in lines:
        cells = [(line.by_judge[judge], judge) for judge in judges]
        rows.append([line.label, *(_with_interval(metric) for metric, _ in cells)])
    named = [f"{j} ({NEVER_CHECKED})" if j in board.lead_never_checked else j for j in judges]
    return table(["generation model", *named], rows)


def _with_interval(metric: Any) -> str:
    if not metric or metric["value"] is None:
        return "–"
    if metric["ci_low"] is None:
        return f"{number(metric['value'])} {few_pages(metric)}".strip()
    ends = f"[{metric['ci_low']:.2f}, {metric['ci_high']:.2f}]"
    return f"{number(metric['value'])} {ends} {few_pages(metric)}".strip()


def _gate_table(board: Leaderboard) -> dg.TableMetadataValue:
    from rag_bench.reporting.board import gates
    from rag_bench.reporting.leaderboard import SHOW_F1, gate_value

    names = ("f1_score", "accuracy", "precision", "recall")

    def row(line: GateLine) -> list[Any]:
        f1 = line.metric(SHOW_F1.metric)
        return [
            "–" if line.rank is None else str(line.rank),
            _named(line),
            *(number(_value(line.metric(name))) for name in names),
            number(_value(line.metric("avg_latency_ms")), 0),
            span(f1),
            number(gate_value(f1)),
            f"{f1['n_scored']} of {f1['n_expected']}" if f1 else "–",
            number(line.cost_per_1000, 2),
            line.remark,
        ]

    columns = ["#", "production judge", "F1", "accuracy", "precision", "recall", "latency, ms"]
    columns += ["F1, 95 % interval", "F1 if unreadable were wrong", "read", "USD per 1,000"]
    columns += ["remark"]
    return table(columns, [row(line) for line in gates(board)])


def _judge_table(board: Leaderboard) -> dg.TableMetadataValue:
    from rag_bench.reporting.board import judges

    names = ("label_auc", "constructed_auc", "consistency_score", "error_rate")
    rows = []
    for line in judges(board):
        measured = line.metrics or {}
        rows.append(
            [
                _named(line),
                "yes" if line.counts else f"no: {line.reason}",
                line.checked,
                line.people,
                *(number(_value(measured.get(name))) for name in names),
            ]
        )
    columns = ["benchmark judge", "orders the models", "checked by tier judge"]
    return table([*columns, "checked against people", *names], rows)


def _bars(board: Leaderboard, lines: list[GeneratorLine]) -> Any:
    lead = lines[0].lead
    found = [line.row.metric(lead) for line in lines]
    return bars(
        f"{lead.title} on {board.dataset.name}, {board.n_questions} questions, 95 % intervals",
        [f"{line.model}  by  {line.row.benchmark_judge_model or '–'}" for line in lines],
        [_value(metric) for metric in found],
        [(m["ci_low"], m["ci_high"]) if m else (None, None) for m in found],
        f"{lead.title}, {lead.scale[0]:g} to {lead.scale[1]:g}" if lead.scale else lead.title,
        lead.scale,
    )


def _named(line: Any) -> str:
    return str(line.model) if line.configured else f"{line.model} (not configured)"


def _value(metric: Any) -> float | None:
    value = metric["value"] if metric else None
    return None if value is None else float(value)


def _plain(text: str) -> str:
    return text.replace("*", "\\*").replace("<", "&lt;")
