-- Every triple (generation model, benchmark judge, production judge) with all its metrics:
-- a join of what was measured once per model or pair of models, so a triple costs no call.
-- Only evaluations of one settings hash meet, and only measures of the answers that are there now.
-- A role without any result under that hash is null.
with latest as (
    select distinct on (
        settings_hash, tier, kind, generation_model, benchmark_judge_model, production_judge_model
    ) *
    from rag_bench.evaluation
    where status in ('succeeded', 'partial')
    order by
        settings_hash, tier, kind, generation_model, benchmark_judge_model,
        production_judge_model, id desc
),
valid as (
    select given.*
    from latest as given
    left join latest as answered
        on answered.kind = 'answers'
        and answered.settings_hash = given.settings_hash
        and answered.tier = given.tier
        and answered.generation_model = given.generation_model
    where given.generation_model is null
        or given.kind = 'answers'
        or (answered.id is not null
            and answered.inputs ->> 'answers_hash'
                is not distinct from given.inputs ->> 'answers_hash')
),
-- The kinds of one tier (rubrics, RAGAS, metrics of the user's) become one object.
by_tier as (
    select
        settings_hash, generation_model, benchmark_judge_model, production_judge_model, tier,
        min(dataset_id) filter (where kind = 'answers') as dataset_id,
        jsonb_object_agg(metric.key, metric.value) filter (where metric.key is not null) as metrics
    from valid
    left join lateral jsonb_each(metrics) as metric on true
    group by
        settings_hash, generation_model, benchmark_judge_model, production_judge_model, tier
),
by_models as (
    select
        settings_hash, generation_model, benchmark_judge_model, production_judge_model,
        min(dataset_id) as dataset_id,
        jsonb_object_agg('tier_' || tier, coalesce(metrics, '{}'::jsonb)) as metrics
    from by_tier
    group by settings_hash, generation_model, benchmark_judge_model, production_judge_model
),
common as (
    select settings_hash, metrics
    from by_models
    where generation_model is null
        and benchmark_judge_model is null
        and production_judge_model is null
),
answers as (
    select settings_hash, generation_model, dataset_id, metrics
    from by_models
    where generation_model is not null and benchmark_judge_model is null
),
scores as (
    select settings_hash, generation_model, benchmark_judge_model, metrics
    from by_models
    where generation_model is not null and benchmark_judge_model is not null
),
judges as (
    select settings_hash, benchmark_judge_model, metrics
    from by_models
    where generation_model is null and benchmark_judge_model is not null
),
production as (
    select settings_hash, production_judge_model, metrics
    from by_models
    where production_judge_model is not null
),
triples as (
    select
        answers.generation_model,
        scores.benchmark_judge_model,
        production.production_judge_model,
        answers.dataset_id,
        answers.settings_hash,
        -- A live assistant retrieves by itself: what our retrieval found says nothing of it.
        case when starts_with(answers.generation_model, 'target/')
            then coalesce(common.metrics, '{}'::jsonb) - 'tier_1'
            else coalesce(common.metrics, '{}'::jsonb)
        end as common,
        coalesce(answers.metrics, '{}'::jsonb) as answered,
        coalesce(scores.metrics, '{}'::jsonb) as scored,
        case when starts_with(answers.generation_model, 'target/')
            then coalesce(judges.metrics, '{}'::jsonb) - 'tier_3'
            else coalesce(judges.metrics, '{}'::jsonb)
        end as judged,
        coalesce(production.metrics, '{}'::jsonb) as gated
    from answers
    left join scores using (settings_hash, generation_model)
    left join production using (settings_hash)
    left join judges using (settings_hash, benchmark_judge_model)
    left join common using (settings_hash)
)
-- A tier may have metrics from several of these: of its answers, of a judge's scores of them, of the
-- judge alone. They become one object, tier by tier, whatever tiers there are.
select
    generation_model,
    benchmark_judge_model,
    production_judge_model,
    dataset_id,
    settings_hash,
    coalesce(merged.metrics, '{}'::jsonb) as metrics
from triples
cross join lateral (
    select jsonb_object_agg(
        tier,
        coalesce(common -> tier, '{}'::jsonb)
        || coalesce(judged -> tier, '{}'::jsonb)
        || coalesce(gated -> tier, '{}'::jsonb)
        || coalesce(answered -> tier, '{}'::jsonb)
        || coalesce(scored -> tier, '{}'::jsonb)
    ) as metrics
    from jsonb_object_keys(common || judged || gated || answered || scored) as tier
) as merged
