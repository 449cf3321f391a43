"""What a report shows beside the leaderboard, read as the dashboard reads it: how far judges agree,
what users ask, who rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.metrics.source_analytics import DOMAIN, TOPICS, UTILIZATION

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.reporting.leaderboard import Leaderboard
    from rag_bench.settings import Settings

#: What the report's field `users` has of each analysis, by name.
ANALYSES = {"utilization": UTILIZATION, "topics": TOPICS, "domain": DOMAIN}


def beside_board(engine: Engine, settings: Settings, board: Leaderboard) -> dict[str, Any]:
    """Return the report's fields `judge_agreement` and `users`, as far as there is something."""
    return {**_of_judges(engine, board), **_of_users(engine, settings)}


def _of_judges(engine: Engine, board: Leaderboard) -> dict[str, Any]:
    from rag_bench.evaluation.precision import published
    from rag_bench.reporting.board import judges
    from rag_bench.reporting.details.judge_agreement import agreements, lead_scores
    from rag_bench.reporting.leaderboard import lead_column

    lead, names = lead_column(board.rows), [line.model for line in judges(board)]
    if len(names) < 2 or not lead.metric.startswith("rubric_"):
        return {}

    def number(value: float | None) -> float | None:
        return None if value is None else published(value)

    found = agreements(lead_scores(engine, board.settings_hash, lead), names)
    return {
        "judge_agreement": [
            {
                **{"first": one.first, "second": one.second, "n": one.n},
                "correlation": number(one.correlation),
                "same": number(one.same),
                "difference": number(one.difference),
            }
            for one in found
        ]
    }


def _of_users(engine: Engine, settings: Settings) -> dict[str, Any]:
    """Return of each analysis its number, on how many questions it rests, and its metrics; what
    became of topics; who rates. Analyses that were not made are missing.
    """
    from rag_bench.reporting.details import topic_changes
    from rag_bench.reporting.details.who_rates import who_rates
    from rag_bench.store.evaluations.finding import newest_of_tier

    users: dict[str, Any] = {}
    for name, tier in ANALYSES.items():
        found = newest_of_tier(engine, tier)
        if found is None:
            continue
        result = found.inputs.get("result") or {}
        users[name] = {
            "evaluation": found.id,
            "questions_sampled": result.get("questions_sampled"),
            "questions_in_source": result.get("questions_in_source"),
            "metrics": dict(sorted(found.metrics.items())),
        }
        if name == "topics" and "changes" in result:
            moved = (result["generation_changes"] or {}).get("moved")
            users["topic_changes"] = {
                "generation": result["generation"],
                "outside": result["changes"]["outside"]["value"],
                "moved": moved["value"] if moved else None,
                "rows": [
                    {"what": what, "topic": topic, "questions": n, "details": details}
                    for what, topic, n, details in topic_changes.rows(result)
                ],
            }
    selection = who_rates(engine, settings)
    if selection.n:
        users["who_rates"] = {"lines": selection.lines(), **selection.as_json()}
    return {"users": users} if users else {}
