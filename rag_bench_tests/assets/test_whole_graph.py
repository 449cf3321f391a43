from small_world import *
def test_x(whole_graph, done_world):
    for r in whole_graph.results:
        print([ (e.event_type_value, e.asset_key, e.step_key) for e in r.all_events if 'CHECK' in e.event_type_value or 'SKIP' in e.event_type_value])
    for row in done_world.rows("select tier, kind, status, generation_model, benchmark_judge_model, errors from rag_bench.evaluation"): print(row)
    for row in done_world.rows("select generation_model, benchmark_judge_model, metrics->'tier_3'->'rubric_e2e_quality'->>'value' v from rag_bench.model_runs where production_judge_model like '%%strict'"): print(row)
    print(list(whole_graph.reports.iterdir()))
