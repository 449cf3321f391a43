"""A large store: what the real graph measured on a small one, dealt out by SQL to many models.

Every row is a copy of one that the project itself wrote, with other models, questions, times and
scores, so the shapes are the real ones. Who gets which is told by hashes of names, so the same
store comes out each time. The texts do not fit the questions: nothing here is to be believed, it
is only much.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, text

#: Under which the newest sweep of the large store is shown.
SETTINGS = "b" * 64
DATASET = "d" * 64
DUMP = "c" * 64


@dataclass(frozen=True)
class Size:
    """How much there is.

    Attributes:
        models: of each of the three roles; as many combinations as this to the third power.
        questions: of the dataset, five to a page.
        nights: earlier evaluations, a few models each night, a new dump every two weeks.
        nightly: generation models of a night, by one judge.
        asked: questions of users.
        chunks: of the current dump.
        topics: of users' questions.
        calls: in the ledger.
        service_runs: that clients asked for, of ``run_cases`` cases.
    """

    models: int = 10
    questions: int = 200
    nights: int = 100
    nightly: int = 10
    asked: int = 5_000
    chunks: int = 200
    topics: int = 60
    calls: int = 90_000
    service_runs: int = 100
    run_cases: int = 200


#: As many models and runs, with fewer rows to each: for tests.
SMALL = Size(questions=60, nightly=1, asked=1_500, calls=3_000, run_cases=40)

_MODELS = """
create temporary table large_model on commit drop as
with roles(role, prefix) as (values
    ('generation', 'vendor/generator-large-context'), ('benchmark_judge', 'vendor/judge-thinking'),
    ('production_judge', 'vendor/gate-small')),
there as (
    select role, name, row_number() over (partition by role order by name) - 1 as place,
        count(*) over (partition by role) as n
    from (
        select distinct 'generation' as role, generation_model as name from measured
        union select distinct 'benchmark_judge', benchmark_judge_model from measured
        union select distinct 'production_judge', production_judge_model from measured
    ) as named where name is not null and not starts_with(name, 'production/')
)
select roles.role, number, format('%s-%s', prefix, lpad(number::text, 2, '0')) as name,
    there.name as template
from roles cross join generate_series(1, :models) as number
join there on there.role = roles.role and there.place = (number - 1) % there.n
"""
# What the real graph measured, the newest of each, under the settings that it shows.
_MEASURED = """
create temporary table measured on commit drop as
select distinct on (tier, kind, generation_model, benchmark_judge_model, production_judge_model) *
from rag_bench.evaluation
where status in ('succeeded', 'partial') and settings_hash = :settings
order by tier, kind, generation_model, benchmark_judge_model, production_judge_model, id desc
"""
_CASES = """
create temporary table measured_case on commit drop as
select one.*, row_number() over (partition by evaluation_id order by case_id) - 1 as place
from rag_bench.evaluation_case as one join measured on measured.id = one.evaluation_id
where one.repeat = 0;
create index on measured_case (evaluation_id, place);
create temporary table there_are on commit drop as
select evaluation_id as template, count(*) as n from measured_case group by 1;
analyze measured_case
"""
_DUMPS = """
insert into rag_bench.dump (sha256, name, kind, size_bytes, corpus_hash, n_chunks, n_questions,
    default_dataset_id, report, loaded_at)
select case when number = 0 then :dump else md5('dump' || number) || md5('of ' || number) end,
    format('large-%s.dump', lpad((100 - number)::text, 3, '0')), kind, size_bytes,
    md5('corpus' || number) || md5('texts' || number), :chunks, :asked, null, report,
    timestamptz '2026-10-01 03:00+00' - number * interval '14 days'
from rag_bench.dump
join rag_bench.current_snapshot on current_snapshot.dump_sha256 = dump.sha256
cross join generate_series(0, 2 + :nights / 14) as number
"""
_CHUNKS = """
insert into rag_bench.chunk
    (dump_sha256, chunk_hash, position, source_id, page_url, text, text_hash, created_at)
select :dump, md5('chunk' || number) || md5('hash' || number), number, number::text,
    format('https://help.example.org/page-%s', number / 4),
    format('%s\\n%s', one.text, repeat(one.text || ' ', 3)), md5('text' || number), one.created_at
from generate_series(0, :chunks - 1) as number
join (
    select text, created_at, row_number() over (order by chunk_hash) - 1 as place
    from rag_bench.chunk where dump_sha256 = :before
) as one on one.place = number % (
    select count(*) from rag_bench.chunk where dump_sha256 = :before)
"""
_ASKED = """
insert into rag_bench.question_answer (dump_sha256, source_id, question, answer, page_url, score,
    user_id, stop_point, created_at)
select :dump, number::text, one.question || ' ' || number, one.answer, one.page_url, one.score,
    'user-' || number % 300, one.stop_point,
    timestamptz '2025-10-01 08:00+00' + number * interval '2 hours'
from generate_series(1, :asked) as number
join (
    select *, row_number() over (order by source_id) - 1 as place
    from rag_bench.question_answer where dump_sha256 = :before
) as one on one.place = number % (
    select count(*) from rag_bench.question_answer where dump_sha256 = :before)
"""
_DATASET = """
insert into rag_bench.dataset (id, name, kind, n_items, source, created_at)
select :dataset, 'large', kind, :questions, source, timestamptz '2026-05-01 00:00+00'
from rag_bench.dataset where id = :template;
"""
_ITEMS = """
insert into rag_bench.dataset_item (dataset_id, item_id, position, question, reference_answer,
    chunk_hashes, page_urls, details)
select :dataset, 'q' || lpad(number::text, 4, '0'), number, one.question || ' ' || number,
    one.reference_answer,
    array[md5('chunk' || number % :chunks) || md5('hash' || number % :chunks)],
    array[format('https://help.example.org/page-%s', number / 5)], one.details
from generate_series(0, :questions - 1) as number
join (
    select *, row_number() over (order by position) - 1 as place, count(*) over () as n
    from rag_bench.dataset_item where dataset_id = :template
) as one on one.place = number % one.n
"""
# Two whole sweeps, the newer one under the settings that are shown, and the nights before, newest
# last: whoever is measured later has the higher number.
_SWEEPS = """
create temporary table sweep on commit drop as
select night, night > 1 as nightly, case night when 0 then 'large-now' else 'large-' || night end
    as run, dumps.sha256 as dump_sha256,
    case night when 0 then :shown else md5('settings' || dump) || md5('of it' || dump) end
    as settings_hash,
    timestamptz '2026-10-01 04:00+00' - night * interval '1 day' as finished_at
from generate_series(0, :nights + 1) as night
cross join lateral (select case night when 0 then 0 else 1 + night / 14 end as dump) as at
join (
    select sha256, row_number() over (order by name desc) - 1 as place from rag_bench.dump
    where starts_with(name, 'large-')
) as dumps on dumps.place = at.dump
"""
# `wanted` are the evaluations to make: a template each, with the models that it is of.
_EVALUATIONS = """
create temporary table wanted on commit drop as
select nextval(pg_get_serial_sequence('rag_bench.evaluation', 'id')) as id, one.*
from (
    select measured.id as template, measured.tier, measured.kind, g.name as generation_model,
        b.name as benchmark_judge_model, p.name as production_judge_model, sweep.*
    from measured
    left join large_model as g on g.role = 'generation' and g.template = measured.generation_model
    left join large_model as b
        on b.role = 'benchmark_judge' and b.template = measured.benchmark_judge_model
    left join large_model as p
        on p.role = 'production_judge' and p.template = measured.production_judge_model
    join sweep on not nightly or (measured.tier = '3' and g.number <= :nightly
        and (measured.kind = 'answers' or (measured.kind = 'scores' and b.number = 1)))
    where (measured.generation_model is null) = (g.name is null)
        and (measured.benchmark_judge_model is null) = (b.name is null)
        and (measured.production_judge_model is null) = (p.name is null)
    order by night desc, measured.kind, measured.tier, g.name, b.name, p.name
) as one;
create unique index on wanted (id);
analyze wanted;
insert into rag_bench.evaluation (id, tier, kind, status, generation_model, benchmark_judge_model,
    production_judge_model, embedding_model, dataset_id, dump_sha256, settings_hash, settings,
    prompt_hash, code_version, git_commit, dagster_run_id, input_hash, inputs, started_at,
    finished_at, metrics, errors)
overriding system value
select wanted.id, wanted.tier, wanted.kind, 'succeeded', wanted.generation_model,
    wanted.benchmark_judge_model, wanted.production_judge_model, embedding_model,
    case when dataset_id = :template then :dataset else dataset_id end, wanted.dump_sha256,
    wanted.settings_hash,
    settings || jsonb_build_object('dataset_id', cast(:dataset as text), 'limit', null),
    prompt_hash, code_version, git_commit, run, md5(concat_ws('|', run, wanted.id)), inputs,
    wanted.finished_at - interval '10 minutes', wanted.finished_at, metrics, errors
from wanted join measured on measured.id = wanted.template
"""
# Of the questions' tiers a case for each of the dataset's; one in fifty failed.
_WANTED_CASES = """
insert into rag_bench.evaluation_case (evaluation_id, case_id, repeat, answer, retrieved,
    citations, scores, error_code, error_detail, flags)
select wanted.id, item.item_id, 0, case when failed then null else given.answer end,
    given.retrieved, given.citations, case when failed then '{}'::jsonb else given.scores end,
    case when failed then 'LLM_FAILED' end,
    case when failed then 'vendor: http 503: overloaded, try again later' end,
    given.flags
from wanted
join there_are using (template)
cross join rag_bench.dataset_item as item
cross join lateral (select hashtextextended(
    concat_ws('|', wanted.generation_model, wanted.benchmark_judge_model, wanted.kind,
        run, item.item_id), 1) as dealt) as lot
join measured_case as given on given.evaluation_id = wanted.template
    and given.place = abs(dealt) % there_are.n
cross join lateral (select abs(dealt / 1000) % 50 = 0
    and (wanted.tier, wanted.kind) in (('2', 'scores'), ('3', 'scores'), ('3', 'answers'))
    as failed) as fate
where item.dataset_id = :dataset and wanted.tier in ('1', '2', '3');
insert into rag_bench.evaluation_case (evaluation_id, case_id, repeat, answer, retrieved,
    citations, scores, error_code, error_detail, flags)
select wanted.id, case_id, repeat, answer, retrieved, citations, scores, error_code, error_detail,
    flags
from wanted join rag_bench.evaluation_case as one on one.evaluation_id = wanted.template
where wanted.tier not in ('1', '2', '3')
"""
# The means of the cases that were dealt, with intervals by the normal distribution.
_METRICS = """
with means as (
    select wanted.id, measure.key, avg(measure.value::float8) as mean, count(*) as n,
        coalesce(1.96 * stddev_samp(measure.value::float8) / sqrt(count(*)), 0) as half
    from wanted join rag_bench.evaluation_case as one on one.evaluation_id = wanted.id
    cross join lateral jsonb_each(one.scores) as measure
    where wanted.tier in ('1', '2', '3') and jsonb_typeof(measure.value) = 'number'
    group by 1, 2
),
made as (
    select means.id, jsonb_object_agg(means.key, (measured.metrics -> means.key)
        || jsonb_build_object('value', round(mean::numeric, 6), 'n_scored', n,
            'n_expected', cast(:questions as int), 'ci_low', round((mean - half)::numeric, 6),
            'ci_high', round((mean + half)::numeric, 6))) as metrics
    from means join wanted using (id) join measured on measured.id = wanted.template
    where measured.metrics ? means.key group by 1
)
update rag_bench.evaluation set metrics = evaluation.metrics || made.metrics
from made where made.id = evaluation.id;
update rag_bench.evaluation set status = 'partial', errors = jsonb_build_object('LLM_FAILED', n)
from (
    select evaluation_id, count(*) as n from rag_bench.evaluation_case join wanted
        on wanted.id = evaluation_case.evaluation_id
    where error_code = 'LLM_FAILED' group by 1
) as failed where failed.evaluation_id = evaluation.id;
"""
# The analyses of users' questions, over the large dump: a case per chunk, topic and point.
_ANALYSES = """
create temporary table analysed on commit drop as
select distinct on (tier) nextval(pg_get_serial_sequence('rag_bench.evaluation', 'id')) as made, *
from rag_bench.evaluation where starts_with(tier, 'analytics') and status = 'succeeded'
order by tier, id desc;
insert into rag_bench.evaluation (id, tier, kind, status, embedding_model, dump_sha256,
    settings_hash, settings, code_version, input_hash, inputs, started_at, finished_at, metrics)
overriding system value
select made, tier, kind, status, embedding_model, :dump, settings_hash, settings, code_version,
    md5('large' || tier), inputs, started_at, finished_at, metrics
from analysed;
insert into rag_bench.evaluation_case (evaluation_id, case_id, scores)
select made, chunk_hash, jsonb_build_object(
    'retrieved', greatest(0, 40 - position), 'first', greatest(0, 9 - position))
from analysed join rag_bench.chunk on chunk.dump_sha256 = :dump
where tier = 'analytics_utilization';
insert into rag_bench.evaluation_case (evaluation_id, case_id, retrieved, scores, flags)
select made, lpad(number::text, 4, '0'),
    (select jsonb_agg(source_id order by source_id::int) from rag_bench.question_answer
        where dump_sha256 = :dump and source_id::int % :topics = number),
    one.scores || jsonb_build_object('topic_id', number,
        'name', (one.scores ->> 'name') || ' ' || number), one.flags
from analysed cross join generate_series(0, :topics - 1) as number
join (
    select *, row_number() over (partition by evaluation_id order by case_id) - 1 as place,
        count(*) over (partition by evaluation_id) as n
    from rag_bench.evaluation_case
) as one on one.evaluation_id = analysed.id and one.place = number % one.n
where tier = 'analytics_topics';
insert into rag_bench.evaluation_case (evaluation_id, case_id, scores)
select made, point.id, jsonb_build_object('x', round((10 * cos(point.n) + point.n % 7)::numeric, 4),
    'y', round((10 * sin(point.n * 1.7))::numeric, 4), 'answered', point.answered)
from analysed cross join (
    select 'chunk:' || chunk_hash as id, position as n, null::boolean as answered
    from rag_bench.chunk where dump_sha256 = :dump
    union all
    select 'question:' || source_id, source_id::int, answer is not null
    from rag_bench.question_answer where dump_sha256 = :dump and source_id::int <= 1000
) as point where tier = 'analytics_map';
insert into rag_bench.evaluation_case (evaluation_id, case_id, repeat, answer, retrieved,
    citations, scores, flags)
select made, case_id, repeat, answer, retrieved, citations, scores, flags
from analysed join rag_bench.evaluation_case as one on one.evaluation_id = analysed.id
where tier not in ('analytics_utilization', 'analytics_topics', 'analytics_map');
"""
_CALLS = """
insert into rag_bench.llm_call (key, role, provider, base_url, model, replicate, request, response,
    status, error_code, http_status, finish_reason, prompt_tokens, completion_tokens, cost_usd,
    latency_ms, wait_ms, dagster_run_id, created_at)
select md5('call' || nth), one.role, split_part(large_model.name, '/', 1),
    'https://vendor.example/v1', split_part(large_model.name, '/', 2), 0, one.request, one.response,
    case when nth % 97 = 0 then 'error' else 'ok' end,
    case when nth % 97 = 0 then 'LLM_FAILED' end,
    case when nth % 97 = 0 then 503 else 200 end, one.finish_reason, one.prompt_tokens,
    one.completion_tokens, 0.0001 * (1 + nth % 50), 200 + nth % 900, 5, 'large-now',
    timestamptz '2026-10-01 03:00+00'
from generate_series(1, :calls) as nth
join (
    select *, row_number() over (order by hashint8(id), id) - 1 as place, count(*) over () as n
    from (
        select *, row_number() over (partition by role order by id) as of_role
        from rag_bench.llm_call where status = 'ok' and role in (select role from large_model)
    ) as ordered where of_role <= 100
) as one on one.place = nth % one.n
join large_model on large_model.role = one.role and large_model.number = 1 + nth % :models
"""
_SERVICE = """
insert into rag_bench.eval_run (id, trace_id, user_id, subject, status, mode, place, n_cases,
    request, config, labels, counts, aggregates, errors, n_calls, cost_usd, created_at, started_at,
    finished_at)
select format('run_%s', lpad(nth::text, 8, '0')), md5('trace' || nth), 'user', 'user',
    case when nth % 9 = 0 then 'partial' else 'succeeded' end, 'async', 'service', :run_cases,
    '{}', jsonb_build_object('generation_model', large_model.name), jsonb_build_object(
        'branch', 'main', 'build', nth), '{}', jsonb_build_object('metrics', (
        select jsonb_object_agg(key, value) from measured cross join jsonb_each(metrics)
        where measured.kind = 'answers' and measured.tier = '3'
            and measured.generation_model = large_model.template)),
    case when nth % 9 = 0 then '{"LLM_FAILED": 2}'::jsonb else '{}' end, 400, 0.8,
    timestamptz '2026-09-01 00:00+00' + nth * interval '5 hours',
    timestamptz '2026-09-01 00:01+00' + nth * interval '5 hours',
    timestamptz '2026-09-01 00:09+00' + nth * interval '5 hours'
from generate_series(1, :service_runs) as nth
join large_model on large_model.role = 'generation' and large_model.number = 1 + nth % :models;
insert into rag_bench.eval_run_case (run_id, position, case_id, given, known, result)
select format('run_%s', lpad(nth::text, 8, '0')), item.position, item.item_id,
    jsonb_build_object('question', item.question), '{}', jsonb_build_object('llm_answer',
        item.reference_answer, 'metrics', jsonb_build_object(
            'rougeL_f', (1 + (nth + item.position) % 9) / 10.0), 'errors', '[]'::jsonb)
from generate_series(1, :service_runs) as nth
join rag_bench.dataset_item as item on item.dataset_id = :dataset and item.position < :run_cases;
"""


def enlarge(engine: Engine, size: Size = Size()) -> None:
    """Make a store large in which the whole graph was measured and analysed.

    Raises:
        ValueError: nothing was measured in it.
    """
    from rag_bench.store.evaluations import newest_settings_hash
    from rag_bench.store.snapshots import current_snapshot

    settings, snapshot = newest_settings_hash(engine), current_snapshot(engine)
    if settings is None or snapshot is None:
        raise ValueError("nothing was measured in this store")
    with engine.begin() as connection:
        connection.execute(text("set local synchronous_commit = off"))
        _run(connection, _MEASURED, settings=settings)
        [template] = connection.execute(
            text("select dataset_id from measured where tier = '3' and kind = 'answers' limit 1")
        ).scalars()
        given = {
            **asdict(size),
            **{"dump": DUMP, "before": snapshot.sha256, "dataset": DATASET, "shown": SETTINGS},
            "template": template,
        }
        for statements in (
            *(_MODELS, _CASES, _DUMPS, _CHUNKS, _ASKED, _DATASET, _ITEMS, _SWEEPS, _EVALUATIONS),
            *(_WANTED_CASES, _METRICS, _ANALYSES, _CALLS, _SERVICE),
        ):
            _run(connection, statements, **given)
        _run(connection, "update rag_bench.current_snapshot set dump_sha256 = :dump", dump=DUMP)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))


def _run(connection: Connection, statements: str, **given: object) -> None:
    """Run statements one by one; each takes of the values what it names."""
    for one in filter(str.strip, statements.split(";")):
        made = text(one)
        names = made._bindparams
        connection.execute(made, {name: given[name] for name in names})
