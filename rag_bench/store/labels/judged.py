"""Labels beside judges' scores of the same answers: what calibrations and corrections read.

Of people's labels only, and only of drawn cases: a case that somebody picked tells of nothing but
itself. Cases of a draw that prompts may be tuned on check no judge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

from rag_bench.evaluation.people.calibration import LabelledScore
from rag_bench.evaluation.people.case_labels import CaseLabel, resolved
from rag_bench.evaluation.people.corrected import Correction, ScoredCase, corrected_scores
from rag_bench.evaluation.text.text_scripts import russian_or_english
from rag_bench.hashing import content_hash
from rag_bench.store import datasets

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
# Answers with labels, and the newest scores of exactly these answers by each judge.
_ANSWERS = """
select id, tier, generation_model, dataset_id, settings_hash,
    coalesce(inputs ->> 'answers_hash', 'evaluation ' || id) as answers
from rag_bench.evaluation where id in :ids
"""
_SCORES = """
with newest as (
    select distinct on (tier, benchmark_judge_model, inputs ->> 'answers_hash', settings_hash)
        id, tier, benchmark_judge_model as judge, generation_model as generator, dataset_id,
        settings_hash, inputs ->> 'answers_hash' as answers,
        settings ->> 'prompt_hash' as prompts, settings ->> 'judge_eval_mode' as mode
    from rag_bench.evaluation
    where kind = 'scores' and status in ('succeeded', 'partial')
        and generation_model is not null and benchmark_judge_model is not null
        and ({chosen})
    order by tier, benchmark_judge_model, inputs ->> 'answers_hash', settings_hash, id desc
)
select * from newest order by id
"""
_CASES = """
select scored.evaluation_id, scored.case_id,
    case when jsonb_typeof(scored.scores -> :metric) = 'number'
        then (scored.scores ->> :metric)::double precision end as score
from rag_bench.evaluation_case as scored
where scored.repeat = 0 and scored.evaluation_id in :ids
    and (scored.scores ? :metric or scored.error_code is not null)
"""
# As in model_runs.sql: the newest scores of the answers that are there now.
_OF_SETTINGS = "settings_hash = :settings and tier = :tier"


@dataclass(frozen=True)
class Labelled:
    """All usable labels by one rubric.

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
    """An evaluation of scores: one judge's, of one model's answers."""

    id: int
    tier: str
    judge: str
    generator: str
    dataset_id: str
    settings_hash: str
    answers: str
    prompts: str
    cases: Mapping[str, float | None] = field(default_factory=dict)


def labelled(engine: Engine, metric: str) -> Labelled:
    """Return people's labels of drawn cases by a rubric."""
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
        one = resolved(said.get(key, []), settled.get(key))
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
    with engine.connect() as connection:
        query = text(_ANSWERS).bindparams(bindparam("ids", expanding=True))
        answers = connection.execute(query, {"ids": sorted(labels.by_case)}).all()
    by_hash: dict[tuple[str, str], list[Any]] = {}
    for one in answers:
        by_hash.setdefault((one.tier, one.answers), []).append(one)
    chosen = "inputs ->> 'answers_hash' in :answers"
    given = {"answers": sorted({one.answers for one in answers})}
    found: dict[tuple[str, str], dict[tuple[str, str], LabelledRow]] = {}
    items: dict[str, Mapping[str, Item]] = {}
    for scored in _scored(engine, labels.metric, chosen, given):
        if scored.dataset_id not in items:
            items[scored.dataset_id] = _items(engine, scored.dataset_id)
        for of in by_hash.get((scored.tier, scored.answers), []):
            for case, label in labels.by_case[of.id].items():
                item = items[scored.dataset_id].get(case)
                if item is None or case not in scored.cases:
                    continue
                row = LabelledRow(
                    of.generation_model,
                    _language(item),
                    item.cluster,
                    label.value,
                    scored.cases[case],
                    label.settled,
                    case,
                    scored.answers,
                )
                # The judge's newest prompts stand last.
                mine = found.pop((scored.judge, scored.prompts), {})
                mine[scored.answers, case] = row
                found[scored.judge, scored.prompts] = mine
    return {key: [rows[k] for k in sorted(rows)] for key, rows in found.items()}


@dataclass(frozen=True)
class LabelledRow(LabelledScore):
    """A labelled answer with where it comes from."""

    case_id: str = ""
    answers: str = ""


@dataclass(frozen=True)
class Corrections:
    """Corrected scores of a board: by generation model and judge, of one rubric of a tier."""

    metric: str
    tier: str
    found: Mapping[tuple[str, str], Correction]

    def marked(self, judge: str) -> bool:
        """Whether nothing that people said touches this judge's scores."""
        return not any(one.n_labels for (_, who), one in self.found.items() if who == judge)


def corrections(engine: Engine, settings_hash: str, tier: str, metric: str) -> Corrections:
    """Return every model's scores by every judge, raw and corrected by the labels there are."""
    labels = labelled(engine, metric)
    rows = labelled_scores(engine, labels)
    given = {"settings": settings_hash, "tier": tier}
    newest: dict[tuple[str, str], Scored] = {}
    for scored in _scored(engine, metric, _OF_SETTINGS, given):
        newest[scored.generator, scored.judge] = scored  # by id: the newest stays
    with_labels = _with_labels(engine, labels)
    items: dict[str, Mapping[str, Item]] = {}
    found: dict[tuple[str, str], Correction] = {}
    for key, scored in sorted(newest.items()):
        if not scored.cases:
            continue
        if scored.dataset_id not in items:
            items[scored.dataset_id] = _items(engine, scored.dataset_id)
        known = items[scored.dataset_id]
        mine = with_labels.get((tier, scored.answers), {})
        cases = [
            ScoredCase(known[case].cluster if case in known else case, score, mine.get(case))
            for case, score in sorted(scored.cases.items())
        ]
        others: Sequence[LabelledScore] = [
            row
            for row in rows.get((scored.judge, scored.prompts), [])
            if row.answers != scored.answers
        ]
        found[key] = corrected_scores(cases, others)
    return Corrections(metric, tier, found)


def _with_labels(engine: Engine, labels: Labelled) -> dict[tuple[str, str], dict[str, CaseLabel]]:
    """Return labels by tier and answers: equal answers were maybe measured twice."""
    if not labels.by_case:
        return {}
    with engine.connect() as connection:
        query = text(_ANSWERS).bindparams(bindparam("ids", expanding=True))
        rows = connection.execute(query, {"ids": sorted(labels.by_case)}).all()
    found: dict[tuple[str, str], dict[str, CaseLabel]] = {}
    for row in rows:
        found.setdefault((row.tier, row.answers), {}).update(labels.by_case[row.id])
    return found


def _scored(engine: Engine, metric: str, chosen: str, given: Mapping[str, Any]) -> Sequence[Scored]:
    """Return evaluations of scores with the cases that the rubric was asked for."""
    query = text(_SCORES.format(chosen=chosen))
    lists = [n for n, value in given.items() if isinstance(value, list)]
    query = query.bindparams(*(bindparam(name, expanding=True) for name in lists))
    with engine.connect() as connection:
        rows = connection.execute(query, dict(given)).all()
        ids = [row.id for row in rows]
        cases: dict[int, dict[str, float | None]] = {}
        if ids:
            of_cases = text(_CASES).bindparams(bindparam("ids", expanding=True))
            for row in connection.execute(of_cases, {"ids": ids, "metric": metric}):
                cases.setdefault(row.evaluation_id, {})[row.case_id] = row.score
    return [
        Scored(
            row.id,
            row.tier,
            row.judge,
            row.generator,
            row.dataset_id,
            row.settings_hash,
            row.answers,
            f"{row.prompts} {row.mode}",
            _asked(cases.get(row.id, {})),
        )
        for row in rows
    ]


def _asked(cases: Mapping[str, float | None]) -> Mapping[str, float | None]:
    """Return the cases, or none if the rubric was not asked here: errors alone are no scores."""
    return cases if any(score is not None for score in cases.values()) else {}


def _items(engine: Engine, dataset_id: str) -> Mapping[str, Item]:
    return {item.item_id: item for item in datasets.items_of(engine, dataset_id)}


def _language(item: Item) -> str:
    return str(item.details.get("language") or russian_or_english(item.question))


def judges_with_labels(engine: Engine, metrics: Collection[str]) -> dict[str, int]:
    """Return how many labelled answers each judge scored, over all rubrics."""
    found: dict[str, int] = {}
    for metric in metrics:
        for (judge, _), rows in labelled_scores(engine, labelled(engine, metric)).items():
            n = sum(row.score is not None for row in rows)
            found[judge] = found.get(judge, 0) + n
    return found
