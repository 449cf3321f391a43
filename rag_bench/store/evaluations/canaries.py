"""Calls of a judge that can be asked again, and what asking them again has shown so far."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from rag_bench.evaluation.instrument.served import Served
from rag_bench.store.evaluations.records import StoredEvaluation, stored
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

#: As the records have it.
TIER = "judge_canary"
CHANGED, UNCHANGED, CANNOT_TELL = "changed", "unchanged", "cannot_tell"

_READ = (
    "key, request::text AS request, response::text AS response, created_at, cost_usd, "
    "coalesce(served_model, left(response ->> 'model', 200)) AS model_served, "
    "coalesce(system_fingerprint, left(response ->> 'system_fingerprint', 200)) AS build"
)
_OF_JUDGE = (
    "role = 'benchmark_judge' AND provider = :provider AND model = :model AND status = 'ok' "
    "AND error_code IS NULL AND replicate = 0"
)


@dataclass(frozen=True)
class JudgeCall:
    """A stored call of a judge: what was asked, what came, from whom and when."""

    key: str
    request: Mapping[str, Any]
    response: str
    created_at: datetime
    cost_usd: Decimal | None
    served: Served

    @property
    def rubric(self) -> str:
        """The name of the schema that was asked for; empty where the prompt alone has it."""
        wanted = self.request.get("response_format")
        schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
        name = schema.get("name") if isinstance(schema, dict) else None
        return name if isinstance(name, str) else ""


def calls_to_choose_from(
    engine: Engine, provider: str, model: str, *, seed: str, limit: int
) -> list[JudgeCall]:
    """Return usable calls of a judge, served as its newest was, in an order by ``seed``."""
    query = text(
        f"SELECT {_READ} FROM rag_bench.llm_call WHERE {_OF_JUDGE} "
        "AND coalesce(served_model, left(response ->> 'model', 200)) IS NOT DISTINCT FROM ("
        "SELECT coalesce(served_model, left(response ->> 'model', 200)) FROM rag_bench.llm_call "
        f"WHERE {_OF_JUDGE} ORDER BY id DESC LIMIT 1) "
        "ORDER BY md5(:seed || key), key LIMIT :limit"
    )
    values = {"provider": provider, "model": model, "seed": seed, "limit": limit}
    with engine.connect() as connection:
        return [_call(row) for row in connection.execute(query, values)]


def calls_named(engine: Engine, keys: Sequence[str]) -> list[JudgeCall]:
    """Return the calls of these keys that the ledger still answers, in the order of the keys."""
    query = text(
        f"SELECT {_READ} FROM rag_bench.llm_call WHERE status = 'ok' AND error_code IS NULL "
        "AND key = ANY(:keys)"
    )
    with engine.connect() as connection:
        found = {row.key: _call(row) for row in connection.execute(query, {"keys": list(keys)})}
    return [found[key] for key in keys if key in found]


def _call(row: Any) -> JudgeCall:
    return JudgeCall(
        row.key,
        json.loads(row.request),
        row.response,
        row.created_at,
        row.cost_usd,
        Served(row.model_served, row.build),
    )


def canaries_of(engine: Engine, judge: str) -> list[StoredEvaluation]:
    """Return what asking a judge again has shown, the newest first."""
    return _canaries(engine, evaluation.c.benchmark_judge_model == judge)


@dataclass(frozen=True)
class Change:
    """A judge that was found to be another.

    Attributes:
        evaluation_id: of the canary.
        since: when it was last known to be the old one; what was asked later may be the new one's.
        seen: when it was found.
        result: of the canary, as it is stored.
    """

    evaluation_id: int
    judge: str
    since: datetime
    seen: datetime
    result: Mapping[str, Any]


def changes(engine: Engine) -> list[Change]:
    """Return all changes of judges that canaries have found, oldest first."""
    found = _canaries(engine, evaluation.c.inputs["result"]["outcome"].astext == CHANGED)
    return [
        Change(
            one.id,
            str(one.benchmark_judge_model),
            datetime.fromisoformat(one.inputs["result"]["since"]),
            datetime.fromisoformat(one.inputs["result"]["seen"]),
            one.inputs["result"],
        )
        for one in reversed(found)
    ]


def _canaries(engine: Engine, which: Any) -> list[StoredEvaluation]:
    query = (
        select(evaluation)
        .where(evaluation.c.tier == TIER, evaluation.c.status.in_(["succeeded", "partial"]), which)
        .order_by(evaluation.c.id.desc())
    )
    with engine.connect() as connection:
        return [stored(row) for row in connection.execute(query)]
