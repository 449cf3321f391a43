"""Labels beside judges' scores of the same answers: what calibrations and corrections read.

Of people's labels only, and only of drawn cases: a case that somebody picked tells of nothing but
itself. Cases of a draw that prompts may be tuned on check no judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.people.calibration import LabelledScore
from rag_bench.evaluation.people.case_labels import CaseLabel, resolved
from rag_bench.evaluation.people.corrected import Correction, ScoredCase, corrected_scores
from rag_bench.evaluation.people.measures import Measure, measure_of
from rag_bench.evaluation.text.text_scripts import russian_or_english
from rag_bench.hashing import content_hash
from rag_bench.store import datasets
from rag_bench.store.labels.judge_prompts import JudgePrompts

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.datasets import Item

# The newest label of each annotator of cases that were drawn, and of no draw for tuning.
_LABELS = """
with drawn as (
    select given.evaluation_id, one.case_id
    from rag_bench.label_draw as given
    join rag_bench.label_draw_case as one on one.draw_id = given.id
    where given.metric = :metric
    group by given.evaluation_id, one.case_id
    having bool_and(given.purpose = 'check')
),
newest as (
    select distinct on (evaluation_id, case_id, annotator, settles)
        id, evaluation_id, case_id, annotator, settles, value, guideline, guideline_version
    from rag_bench.label
    where metric = :metric and annotator_kind = 'person'
    order by evaluation_id, case_id, annotator, settles, id desc
)
select newest.* from newest join drawn using (evaluation_id, case_id)
where newest.value is not null
order by newest.id
"""
# What was labelled and what was scored go by an address: of the answers; of contexts, which read no
# answer, of what was retrieved (the same settings, questions and dump find the same), or of the
# answers that brought their own; of production judges, of the labelled pairs.
_ADDRESS = {
    "rubric": "tier || ' ' || coalesce(inputs ->> 'answers_hash', 'evaluation ' || id)",
    "contexts": "coalesce(inputs ->> 'own_contexts_hash', concat_ws(' ', settings_hash, "
    "dataset_id, dump_sha256))",
    "gate": "dataset_id",
}
_ADDRESS["ragas"] = _ADDRESS["rubric"]
# The newest scores of exactly these by each judge.
_SCORED_BY = {
    "rubric": "kind = 'scores' and generation_model is not null and benchmark_judge_model is not "
    "null",
    "ragas": "kind = 'ragas' and generation_model is not null and benchmark_judge_model is not "
    "null and inputs ->> 'answers_hash' is not null",
    "contexts": "kind = 'ragas' and benchmark_judge_model is not null and (inputs ->> "
    "'contexts_hash' is not null or inputs ->> 'own_contexts_hash' is not null)",
    "gate": "kind = 'scores' and tier = 'judge_pipeline' and production_judge_model is not null",
}
_LABELLED = """
select id, generation_model, {address} as address,
    coalesce(inputs ->> 'answers_hash', 'evaluation ' || id) as answers
from rag_bench.evaluation where id in :ids
"""
_SCORES = """
with newest as (
    select distinct on (tier, {judge}, generation_model, {address}, settings_hash)
        id, tier, {judge} as judge, generation_model as generator, dataset_id, settings_hash,
        {address} as address, inputs, settings, prompt_hash
    from rag_bench.evaluation
    where {scored_by} and status in ('succeeded', 'partial') and ({chosen})
    order by tier, {judge}, generation_model, {address}, settings_hash, id desc
)
select * from newest order by id
"""
_CASES = """
select scored.evaluation_id, scored.case_id,
    case jsonb_typeof(scored.scores -> :metric)
        when 'number' then (scored.scores ->> :metric)::double precision
        when 'boolean' then (scored.scores ->> :metric)::boolean::integer end as score
from rag_bench.evaluation_case as scored
where scored.repeat = 0 and scored.evaluation_id in :ids
    and (scored.scores ? :metric or scored.error_code is not null)
"""
# As in model_runs.sql: the newest scores of the answers that are there now.
_OF_SETTINGS = "settings_hash = :settings and tier = :tier"
_OF_RUN = (
    "id in (select part.evaluation_id from rag_bench.eval_run_evaluation as part where part.run_id "
    "= :run)"
)
#: Whose are contexts and labelled pairs, which no generation model made.
_NOBODYS = {"contexts": "retrieval", "gate": "labelled pairs"}


@dataclass(frozen=True)
class Labelled:
    """All usable labels by one metric.

    Attributes:
        by_case: By evaluation of answers, then case.
        guidelines: Names and versions by which they were given.
        hash: Of all of them: what was made of others is stale.
    """

    metric: str
    by_case: Mapping[int, Mapping[str, CaseLabel]]
    guidelines: tuple[str, ...]
    hash: str

    @property
    def n(self) -> int:
        """Labelled cases."""
        return sum(len(cases) for cases in self.by_case.values())


@dataclass(frozen=True)
class Scored:
    """An evaluation of scores: one judge's, of one model's answers.

    ``address``: of what was scored; ``prompts``: of the texts that the judge was asked by.
    """

    id: int
    tier: str
    judge: str
    generator: str
    dataset_id: str
    settings_hash: str
    address: str
    prompts: str
    cases: Mapping[str, float | None] = field(default_factory=dict)


def labelled(engine: Engine, metric: str) -> Labelled:
    """Return people's labels of drawn cases by a metric."""
    good_from = measure_of(metric).good_from
    with engine.connect() as connection:
        rows = connection.execute(text(_LABELS), {"metric": metric}).all()
    said: dict[tuple[int, str], list[float]] = {}
    settled: dict[tuple[int, str], float] = {}
    for row in rows:  # by id: of two who settle the later one counts
        key = (row.evaluation_id, row.case_id)
        if row.settles:
            settled[key] = row.value
        else:
            said.setdefault(key, []).append(row.value)
    by_case: dict[int, dict[str, CaseLabel]] = {}
    for key in sorted({*said, *settled}):
        one = resolved(said.get(key, []), settled.get(key), good_from)
        if one is not None:
            by_case.setdefault(key[0], {})[key[1]] = one
    used = {f"{r.guideline} {r.guideline_version}" for r in rows if r.guideline}
    hashed = [[r.evaluation_id, r.case_id, r.annotator, r.settles, r.value] for r in rows]
    return Labelled(metric, by_case, tuple(sorted(used)), content_hash(sorted(hashed, key=str)))


def labelled_scores(engine: Engine, labels: Labelled) -> dict[tuple[str, str], list[LabelledRow]]:
    """Return every labelled answer that a judge scored, by judge and prompts.

    An answer that was scored under several settings by the same prompts counts once, by its newest
    score. Of one judge's prompts those that were asked last stand last.
    """
    if not labels.by_case:
        return {}
    measure = measure_of(labels.metric)
    by_address: dict[str, list[Any]] = {}
    for one in _labelled_evaluations(engine, labels, measure):
        for address in _addresses(one, measure):
            by_address.setdefault(address, []).append(one)
    chosen = f"{_ADDRESS[measure.source]} in :addresses"
    found: dict[tuple[str, str], dict[tuple[str, str], LabelledRow]] = {}
    items: dict[str, Mapping[str, Item]] = {}
    for scored in _scored(engine, measure, chosen, {"addresses": sorted(by_address)}):
        if scored.dataset_id not in items:
            items[scored.dataset_id] = _items(engine, scored.dataset_id)
        for of in by_address.get(scored.address, []):
            for case, label in labels.by_case[of.id].items():
                item = items[scored.dataset_id].get(case)
                if item is None or case not in scored.cases:
                    continue
                row = LabelledRow(
                    owner_of(measure, of.generation_model),
                    _language(item),
                    item.cluster,
                    label.value,
                    scored.cases[case],
                    label.settled,
                    case,
                    scored.address,
                )
                # The judge's newest prompts stand last.
                mine = found.pop((scored.judge, scored.prompts), {})
                mine[scored.address, case] = row
                found[scored.judge, scored.prompts] = mine
    return {key: [rows[k] for k in sorted(rows)] for key, rows in found.items()}


def owner_of(measure: Measure, generation_model: str | None) -> str:
    """Return whose scores are: a generation model's; contexts and labelled pairs are nobody's."""
    return _NOBODYS.get(measure.source) or generation_model or ""


def _labelled_evaluations(engine: Engine, labels: Labelled, measure: Measure) -> Sequence[Any]:
    query = text(_LABELLED.format(address=_ADDRESS[measure.source]))
    with engine.connect() as connection:
        bound = query.bindparams(bindparam("ids", expanding=True))
        return connection.execute(bound, {"ids": sorted(labels.by_case)}).all()


def _addresses(labelled_one: Any, measure: Measure) -> list[str]:
    """Return by which addresses what was labelled may have been scored."""
    if measure.source == "contexts":
        return [labelled_one.address, labelled_one.answers]
    return [labelled_one.address]


@dataclass(frozen=True)
class LabelledRow(LabelledScore):
    """A labelled answer with where it comes from; ``address``: of all that was scored with it."""

    case_id: str = ""
    address: str = ""


@dataclass(frozen=True)
class Corrections:
    """Corrected scores of a board: by generation model and judge, of one metric of a tier."""

    metric: str
    tier: str
    found: Mapping[tuple[str, str], Correction]

    def marked(self, judge: str) -> bool:
        """Whether nothing that people said touches this judge's scores."""
        return not any(one.n_labels for (_, who), one in self.found.items() if who == judge)


def corrections(engine: Engine, settings_hash: str, tier: str, metric: str) -> Corrections:
    """Return every model's scores by every judge, raw and corrected by the labels there are.

    Raises:
        RagBenchError: the metric is a verdict, which has no mean to correct.
    """
    given = {"settings": settings_hash, "tier": tier}
    return _corrections(engine, tier, metric, _OF_SETTINGS, given)


def corrections_of_run(engine: Engine, run_id: str, metric: str) -> Corrections:
    """Return the same of a run of the service, whose cases are measured in parts.

    Raises:
        RagBenchError: the metric is a verdict, which has no mean to correct.
    """
    return _corrections(engine, "", metric, _OF_RUN, {"run": run_id})


def _corrections(
    engine: Engine, tier: str, metric: str, chosen: str, given: Mapping[str, Any]
) -> Corrections:
    measure = measure_of(metric)
    if measure.source == "gate":
        raise RagBenchError(
            f"{metric} is a verdict, not a score: nothing of it is corrected. `rag-bench label "
            f"calibration --metric {metric}` shows how the judges err."
        )
    labels = labelled(engine, metric)
    rows = labelled_scores(engine, labels)
    of_one: dict[tuple[str, str], dict[tuple[str, str], Scored]] = {}
    for scored in _scored(engine, measure, chosen, given):
        if not scored.cases:
            continue
        mine = of_one.setdefault((scored.generator, scored.judge), {})
        if tier:  # by id: of a board the newest stays
            mine.clear()
        mine[scored.dataset_id, scored.address] = scored
    with_labels = _with_labels(engine, labels, measure)
    items: dict[str, Mapping[str, Item]] = {}
    found: dict[tuple[str, str], Correction] = {}
    for key, parts in sorted(of_one.items()):
        cases: list[ScoredCase] = []
        for scored in parts.values():
            if scored.dataset_id not in items:
                items[scored.dataset_id] = _items(engine, scored.dataset_id)
            known = items[scored.dataset_id]
            mine_labels = with_labels.get(scored.address, {})
            cases += [
                ScoredCase(
                    known[case].cluster if case in known else case, score, mine_labels.get(case)
                )
                for case, score in sorted(scored.cases.items())
            ]
        here = {scored.address for scored in parts.values()}
        asked_by = {scored.prompts for scored in parts.values()}
        others: Sequence[LabelledScore] = [
            row
            for prompts in sorted(asked_by)
            for row in rows.get((key[1], prompts), [])
            if row.address not in here
        ]
        found[key] = corrected_scores(cases, measure, others)
    return Corrections(metric, tier, found)


def _with_labels(
    engine: Engine, labels: Labelled, measure: Measure
) -> dict[str, dict[str, CaseLabel]]:
    """Return labels by the address of what was labelled; equal answers may be measured twice."""
    if not labels.by_case:
        return {}
    found: dict[str, dict[str, CaseLabel]] = {}
    for one in _labelled_evaluations(engine, labels, measure):
        for address in _addresses(one, measure):
            found.setdefault(address, {}).update(labels.by_case[one.id])
    return found


def _scored(
    engine: Engine, measure: Measure, chosen: str, given: Mapping[str, Any]
) -> Sequence[Scored]:
    """Return evaluations of scores with the cases that the judge was asked for."""
    query = text(
        _SCORES.format(
            chosen=chosen,
            address=_ADDRESS[measure.source],
            scored_by=_SCORED_BY[measure.source],
            judge="production_judge_model" if measure.source == "gate" else "benchmark_judge_model",
        )
    )
    lists = [n for n, value in given.items() if isinstance(value, list)]
    query = query.bindparams(*(bindparam(name, expanding=True) for name in lists))
    with engine.connect() as connection:
        rows = connection.execute(query, dict(given)).all()
        ids = [row.id for row in rows]
        cases: dict[int, dict[str, float | None]] = {}
        if ids:
            of_cases = text(_CASES).bindparams(bindparam("ids", expanding=True))
            for row in connection.execute(of_cases, {"ids": ids, "metric": measure.metric}):
                cases.setdefault(row.evaluation_id, {})[row.case_id] = row.score
    asked_by = JudgePrompts(engine, measure)
    return [
        Scored(
            row.id,
            row.tier,
            row.judge,
            owner_of(measure, row.generator),
            row.dataset_id,
            row.settings_hash,
            row.address,
            asked_by.address(row.inputs, row.settings, row.prompt_hash),
            _asked(cases.get(row.id, {})),
        )
        for row in rows
    ]


def _asked(cases: Mapping[str, float | None]) -> Mapping[str, float | None]:
    """Return the cases, or none if the judge was not asked here: errors alone are no scores."""
    return cases if any(score is not None for score in cases.values()) else {}


def _items(engine: Engine, dataset_id: str) -> Mapping[str, Item]:
    return {item.item_id: item for item in datasets.items_of(engine, dataset_id)}


def _language(item: Item) -> str:
    return str(item.details.get("language") or russian_or_english(item.question))
