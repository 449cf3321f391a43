-- Every triple (generation model, benchmark judge, production judge) with all its metrics:
-- a join of what was measured once per model or pair of models, so a triple costs no call.
-- Only evaluations of one settings hash meet, and only scores of the answers that are there now.
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
common as (
    select settings_hash, jsonb_object_agg('tier_' || tier, metrics) as metrics, max(id) as id
    from latest
    where generation_model is null
        and benchmark_judge_model is null
        and production_judge_model is null
    group by settings_hash
),
answers as (
    select
        settings_hash, generation_model,
        min(dataset_id) as dataset_id,
        jsonb_object_agg('tier_' || tier, metrics) as metrics
    from latest
    where kind = 'answers'
    group by settings_hash, generation_model
),
scores as (
    select
        given.settings_hash, given.generation_model, given.benchmark_judge_model,
        jsonb_object_agg('tier_' || given.tier, given.metrics) as metrics
    from latest as given
    join latest as answered
        on answered.kind = 'answers'
        and answered.settings_hash = given.settings_hash
        and answered.tier = given.tier
        and answered.generation_model = given.generation_model
        and answered.inputs ->> 'answers_hash'
            is not distinct from given.inputs ->> 'answers_hash'
    where given.kind = 'scores' and given.benchmark_judge_model is not null
    group by given.settings_hash, given.generation_model, given.benchmark_judge_model
),
judges as (
    select
        settings_hash, benchmark_judge_model, jsonb_object_agg('tier_' || tier, metrics) as metrics
    from latest
    where generation_model is null and benchmark_judge_model is not null
    group by settings_hash, benchmark_judge_model
),
production as (
    select
        settings_hash, production_judge_model, jsonb_object_agg('tier_' || tier, metrics) as metrics
    from latest
    where production_judge_model is not null
    group by settings_hash, production_judge_model
)
select
    answers.generation_model,
    scores.benchmark_judge_model,
    production.production_judge_model,
    answers.dataset_id,
    answers.settings_hash,
    coalesce(common.metrics, '{}'::jsonb)
        || coalesce(judges.metrics, '{}'::jsonb)
        || coalesce(production.metrics, '{}'::jsonb)
        || case when answers.metrics ? 'tier_2' or scores.metrics ? 'tier_2' then
            jsonb_build_object('tier_2',
                coalesce(answers.metrics -> 'tier_2', '{}'::jsonb)
                || coalesce(scores.metrics -> 'tier_2', '{}'::jsonb))
            else '{}'::jsonb end
        || case when answers.metrics ? 'tier_3' or scores.metrics ? 'tier_3' then
            jsonb_build_object('tier_3',
                coalesce(answers.metrics -> 'tier_3', '{}'::jsonb)
                || coalesce(scores.metrics -> 'tier_3', '{}'::jsonb))
            else '{}'::jsonb end as metrics
from answers
left join scores using (settings_hash, generation_model)
left join production using (settings_hash)
left join judges using (settings_hash, benchmark_judge_model)
left join common using (settings_hash)
