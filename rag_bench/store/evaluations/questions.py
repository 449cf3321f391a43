"""The questions of what was measured, across all models: a list cut in SQL; one of them whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

if TYPE_CHECKING:
    from sqlalchemy import Engine

# The newest usable evaluations of each pair, of the answers that are there now, as in
# model_runs.sql; `lead` is the measure by which models are ranked.
_NEWEST = """
with newest as (
    select distinct on (tier, kind, generation_model, benchmark_judge_model)
        id, tier, kind, generation_model, benchmark_judge_model,
        inputs ->> 'answers_hash' as answers
    from rag_bench.evaluation
    where settings_hash = :settings and tier in ('2', '3') and generation_model is not null
        and status in ('succeeded', 'partial') and production_judge_model is null
    order by tier, kind, generation_model, benchmark_judge_model, id desc
),
valid as (
    select given.* from newest as given
    left join newest as answered on answered.kind = 'answers' and answered.tier = given.tier
        and answered.generation_model = given.generation_model
    where given.kind = 'answers' or (
        answered.id is not null and answered.answers is not distinct from given.answers)
)
"""
_SUMS = """,
sums as (
    select scored.case_id,
        count(*) filter (where scored.error_code is not null
            and scored.error_code <> 'NO_CITATIONS') as failed,
        avg((scored.scores ->> :metric)::double precision)
            filter (where jsonb_typeof(scored.scores -> :metric) = 'number') as mean,
        min((scored.scores ->> :metric)::double precision)
            filter (where jsonb_typeof(scored.scores -> :metric) = 'number') as low,
        max((scored.scores ->> :metric)::double precision)
            filter (where jsonb_typeof(scored.scores -> :metric) = 'number') as high
    from valid join rag_bench.evaluation_case as scored on scored.evaluation_id = valid.id
    where scored.repeat = 0 and valid.tier = :tier
    group by scored.case_id
),
listed as (
    select item.item_id, item.position, item.question, coalesce(sums.failed, 0) as failed,
        sums.mean, sums.low, sums.high
    from rag_bench.dataset_item as item join sums on sums.case_id = item.item_id
    where item.dataset_id = :dataset
        and (:search = '' or position(lower(:search) in lower(item.question)) > 0
            or item.item_id = :search)
        and (cast(:among as text[]) is null or item.item_id = any(:among))
        and case :filter
            when 'failed' then coalesce(sums.failed, 0) > 0
            when 'different' then sums.high - sums.low >= :apart
            when 'low' then sums.mean <= :low
            else true end
)
"""
_ORDER = {
    "place": "position, item_id",
    "worst": "mean nulls last, position, item_id",
    "widest": "high - low desc nulls last, position, item_id",
}
#: The orders and filters that `listed` knows.
ORDERS = tuple(_ORDER)
FILTERS = ("all", "failed", "different", "low")


@dataclass(frozen=True)
class Wanted:
    """Which questions.

    Attributes:
        tier, metric: the measure that they are looked at by.
        filter: one of `FILTERS`; `different`: best and worst score at least ``apart`` away from
            each other; `low`: the mean at most ``low``.
        search: in the question's words, or its id.
        among: ids of the only ones; None: all.
    """

    settings_hash: str
    dataset_id: str
    tier: str
    metric: str
    filter: str = "all"
    order: str = "place"
    search: str = ""
    apart: float = 1.0
    low: float = 0.5
    among: Sequence[str] | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the values of the statements' places."""
        return {
            "settings": self.settings_hash,
            "dataset": self.dataset_id,
            "tier": self.tier,
            "metric": self.metric,
            "filter": self.filter,
            "search": self.search,
            "among": None if self.among is None else list(self.among),
            "apart": self.apart,
            "low": self.low,
        }

    @property
    def ordered(self) -> str:
        """Return the statement's order."""
        return _ORDER.get(self.order, _ORDER["place"])


@dataclass(frozen=True)
class Asked:
    """One question with its scores over all models and judges; None: none was scored."""

    case_id: str
    question: str
    failed: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Given:
    """What one evaluation holds of a question (repeat 0)."""

    evaluation_id: int
    tier: str
    kind: str
    generation_model: str
    benchmark_judge_model: str | None
    answer: str | None
    retrieved: Sequence[Mapping[str, Any]]
    citations: Sequence[Any]
    scores: Mapping[str, Any]
    error_code: str | None
    error_detail: str | None
    flags: Sequence[str]
    recorded: bool
    """Whether the calls behind it were noted when it was stored."""


def listed(engine: Engine, wanted: Wanted, *, limit: int, offset: int) -> tuple[list[Asked], int]:
    """Return a page of questions, and how many there are in all."""
    rows = text(
        f"{_NEWEST}{_SUMS} select item_id, question, failed, mean, low, high from listed "
        f"order by {wanted.ordered} limit :limit offset :offset"
    )
    count = text(f"{_NEWEST}{_SUMS} select count(*) from listed")
    given = wanted.parameters()
    with engine.connect() as connection:
        found = connection.execute(rows, {**given, "limit": limit, "offset": offset}).all()
        total = int(connection.execute(count, given).scalar_one())
    return [Asked(*row) for row in found], total


def that_may_hold(
    engine: Engine, dataset_id: str, search: str, *, limit: int
) -> list[tuple[str, str]]:
    """Return the first questions of a dataset that hold words, or have them as their id, with
    their ids, as they were asked.
    """
    query = text(
        "select item_id, question from rag_bench.dataset_item where dataset_id = :dataset "
        "and (position(lower(:search) in lower(question)) > 0 or item_id = :search) "
        "order by position, item_id limit :limit"
    )
    given = {"dataset": dataset_id, "search": search, "limit": limit}
    with engine.connect() as connection:
        return [(row.item_id, row.question) for row in connection.execute(query, given)]


def neighbours(engine: Engine, wanted: Wanted, case_id: str) -> tuple[str | None, str | None]:
    """Return the questions before and behind one in the list; None at its ends."""
    query = text(
        f"{_NEWEST}{_SUMS} select before, behind from (select item_id, "
        f"lag(item_id) over (order by {wanted.ordered}) as before, "
        f"lead(item_id) over (order by {wanted.ordered}) as behind from listed) as placed "
        "where item_id = :case"
    )
    with engine.connect() as connection:
        row = connection.execute(query, {**wanted.parameters(), "case": case_id}).one_or_none()
    return (row.before, row.behind) if row else (None, None)


def given_for(engine: Engine, settings_hash: str, case_id: str) -> list[Given]:
    """Return what every model and judge gave for a question."""
    query = text(
        f"{_NEWEST} select valid.id, valid.tier, valid.kind, valid.generation_model, "
        "valid.benchmark_judge_model, one.answer, one.retrieved, one.citations, one.scores, "
        "one.error_code, one.error_detail, one.flags, one.calls is not null as recorded from valid "
        "join rag_bench.evaluation_case as one on one.evaluation_id = valid.id "
        "where one.case_id = :case and one.repeat = 0 "
        "order by valid.tier desc, valid.generation_model, valid.kind, valid.benchmark_judge_model"
    )
    found = []
    with engine.connect() as connection:
        for row in connection.execute(query, {"settings": settings_hash, "case": case_id}):
            values = dict(row._mapping)
            values["evaluation_id"] = values.pop("id")
            values["retrieved"] = values["retrieved"] or []
            values["citations"] = values["citations"] or []
            found.append(Given(**values))
    return found


@dataclass(frozen=True)
class Shared:
    """An evaluation that holds something of a question for all generation models together: the
    search that a reranker orders, judges of the retrieved chunks.
    """

    evaluation_id: int
    tier: str
    kind: str
    benchmark_judge_model: str | None
    recorded: bool


def shared_for(engine: Engine, settings_hash: str, case_id: str) -> list[Shared]:
    """Return the newest such evaluations that asked somebody about a question."""
    query = text(
        "select newest.id, tier, kind, benchmark_judge_model, one.calls is not null as recorded "
        "from (select distinct on (tier, kind, benchmark_judge_model) id, tier, kind, "
        "benchmark_judge_model from rag_bench.evaluation where settings_hash = :settings "
        "and tier in ('1', '2', '3') and generation_model is null "
        "and production_judge_model is null and status in ('succeeded', 'partial') "
        "order by tier, kind, benchmark_judge_model, id desc) as newest "
        "join rag_bench.evaluation_case as one on one.evaluation_id = newest.id "
        "where one.case_id = :case and one.repeat = 0 "
        "and (benchmark_judge_model is not null or one.calls <> '[]'::jsonb) "
        "order by tier, kind, benchmark_judge_model"
    )
    with engine.connect() as connection:
        rows = connection.execute(query, {"settings": settings_hash, "case": case_id})
        return [Shared(*row) for row in rows]


def chunk_texts(engine: Engine, hashes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return (page, text) of chunks by hash, of any snapshot that has them."""
    query = text(
        "select distinct on (chunk_hash) chunk_hash, page_url, text from rag_bench.chunk "
        "where chunk_hash in :hashes order by chunk_hash"
    ).bindparams(bindparam("hashes", expanding=True))
    if not hashes:
        return {}
    with engine.connect() as connection:
        rows = connection.execute(query, {"hashes": list(hashes)})
        return {row[0]: (row[1], row[2]) for row in rows}
