"""The graph as it is meant: assets, their inputs and partitions, checks, jobs."""

from __future__ import annotations

NONE, GENERATION, GRID, GATES = "none", "generation", "grid", "production"
JUDGES, RETRIEVERS, RUNS = "benchmark judges", "retrievers", "runs of the service"
PAYS = {"openai", "postgres"}
# name: group, inputs, partitions, kinds
EXPECTED: dict[str, tuple[str, set[str], str, set[str]]] = {
    "dump": ("source", set(), NONE, {"postgres", "sql"}),
    "chunk": ("source", {"dump"}, NONE, {"postgres", "table"}),
    "question_answer": ("source", {"dump"}, NONE, {"postgres", "table"}),
    "chunk_embeddings": ("embeddings", {"chunk"}, NONE, {"postgres", "pytorch"}),
    "question_embeddings": ("embeddings", {"question_answer"}, NONE, {"postgres", "pytorch"}),
    "manual_dataset": ("datasets", {"chunk"}, NONE, {"postgres", "json"}),
    "show_hide_dataset": ("datasets", {"chunk"}, NONE, {"postgres", "json"}),
    "synthetic_dataset": ("datasets", {"chunk"}, NONE, PAYS),
    "traffic_dataset": (
        "datasets",
        {"chunk", "question_answer", "topic_coverage"},
        NONE,
        {"postgres", "table"},
    ),
    "tier0_embedding_geometry": (
        "retrieval",
        {"manual_dataset", "synthetic_dataset", "traffic_dataset"},
        NONE,
        {"postgres", "numpy"},
    ),
    "tier1_retrieval": (
        "retrieval",
        {"manual_dataset", "synthetic_dataset", "traffic_dataset", "chunk_embeddings"},
        NONE,
        {"postgres", "numpy"},
    ),
    "retrieval_lab": (
        "retrieval",
        {"manual_dataset", "synthetic_dataset", "traffic_dataset", "chunk_embeddings"},
        RETRIEVERS,
        {"postgres", "numpy"},
    ),
    "retriever_comparison": ("retrieval", {"retrieval_lab"}, NONE, {"postgres", "matplotlib"}),
    "tier2_answers": ("generation", {"manual_dataset", "synthetic_dataset"}, GENERATION, PAYS),
    "tier2_scores": ("generation", {"tier2_answers"}, GRID, PAYS),
    "tier3_answers": ("end_to_end", {"tier1_retrieval"}, GENERATION, PAYS),
    "tier3_scores": ("end_to_end", {"tier3_answers"}, GRID, PAYS),
    "production_judge_scores": ("judges", {"show_hide_dataset"}, GATES, PAYS),
    "benchmark_judge_quality": (
        "judges",
        {"show_hide_dataset", "manual_dataset", "synthetic_dataset"},
        JUDGES,
        PAYS,
    ),
    "judge_canary": ("judges", set(), JUDGES, PAYS),
    "tier2_custom_metrics": ("generation", {"tier2_answers"}, GENERATION, {"postgres", "python"}),
    "tier3_custom_metrics": ("end_to_end", {"tier3_answers"}, GENERATION, {"postgres", "python"}),
    "tier2_ragas_scores": ("generation", {"tier2_answers"}, GRID, PAYS | {"ragas"}),
    "tier3_ragas_scores": ("end_to_end", {"tier3_answers"}, GRID, PAYS | {"ragas"}),
    "tier3_context_scores": ("end_to_end", {"tier1_retrieval"}, JUDGES, PAYS | {"ragas"}),
    "tier_ux_dialogs": (
        "ux",
        {"question_embeddings", "manual_dataset", "synthetic_dataset"},
        NONE,
        {"postgres", "numpy"},
    ),
    "chunk_utilization": (
        "analytics",
        {"chunk_embeddings", "question_embeddings", "synthetic_dataset"},
        NONE,
        {"postgres", "numpy"},
    ),
    "topic_coverage": (
        "analytics",
        {"chunk_embeddings", "question_embeddings"},
        NONE,
        {"postgres", "scikitlearn"},
    ),
    "domain_insights": ("analytics", {"chunk", "question_answer"}, NONE, {"postgres", "python"}),
    "vector_map": (
        "analytics",
        {"chunk_embeddings", "question_embeddings"},
        NONE,
        {"postgres", "scikitlearn"},
    ),
    "sweep_plan": (
        "model_lab",
        {"manual_dataset", "synthetic_dataset", "tier1_retrieval"},
        NONE,
        {"postgres"},
    ),
    "model_runs": (
        "model_lab",
        {
            *("tier0_embedding_geometry", "tier1_retrieval", "tier_ux_dialogs"),
            *("tier2_scores", "tier3_scores", "tier2_ragas_scores", "tier3_ragas_scores"),
            *("tier3_context_scores", "tier2_custom_metrics", "tier3_custom_metrics"),
            *("production_judge_scores", "benchmark_judge_quality"),
        },
        NONE,
        {"postgres", "view"},
    ),
    "leaderboard": ("model_lab", {"model_runs"}, NONE, {"postgres", "matplotlib"}),
    "dataset_health": (
        "datasets",
        {"manual_dataset", "synthetic_dataset", "traffic_dataset", "model_runs"},
        NONE,
        {"postgres", "table"},
    ),
    "eval_run": ("service", {"chunk_embeddings"}, RUNS, PAYS),
    "benchmark_report": (
        "reports",
        {"leaderboard", "retriever_comparison", "dataset_health"},
        NONE,
        {"json", "html"},
    ),
}

#: What measures under a run's settings: the texts of the chunks are in them.
MEASURED = {
    *("tier0_embedding_geometry", "tier1_retrieval", "tier_ux_dialogs", "sweep_plan"),
    *(f"tier{tier}_{what}" for tier in "23" for what in ("answers", "scores", "ragas_scores")),
    *("tier2_custom_metrics", "tier3_custom_metrics", "tier3_context_scores"),
    *("production_judge_scores", "benchmark_judge_quality"),
    *("model_runs", "leaderboard", "benchmark_report", "dataset_health"),
    *("retrieval_lab", "retriever_comparison"),
}
CHECKS = {
    ("chunk_embeddings", "every_chunk_is_embedded"),
    ("question_embeddings", "every_question_is_embedded"),
    ("show_hide_dataset", "enough_labelled_pairs"),
    ("tier1_retrieval", "relevant_chunks_exist"),
    ("retrieval_lab", "retrievers_are_measured_alike"),
    ("tier1_retrieval", "measures_are_within_their_scale"),
    ("tier1_retrieval", "search_agrees_with_pgvector"),
    ("tier2_answers", "text_measures_read_russian"),
    ("tier3_answers", "text_measures_read_russian"),
    ("tier2_scores", "judge_prompts_hold_question_and_answer"),
    ("tier3_scores", "judge_prompts_hold_question_and_answer"),
    *((f"tier{tier}_custom_metrics", "models_are_measured_alike") for tier in "23"),
    *((f"tier{tier}_ragas_scores", "replies_are_readable") for tier in "23"),
    ("tier3_context_scores", "replies_are_readable"),
    ("tier2_scores", "replies_are_readable"),
    ("tier3_scores", "replies_are_readable"),
    ("production_judge_scores", "replies_are_readable"),
    ("benchmark_judge_quality", "replies_are_readable"),
    ("benchmark_judge_quality", "scores_are_not_all_alike"),
    ("benchmark_judge_quality", "checked_against_people"),
    ("judge_canary", "judges_are_unchanged"),
    ("dataset_health", "no_answer_is_stale"),
    ("dataset_health", "questions_tell_models_apart"),
    ("dataset_health", "questions_are_not_copied"),
    ("model_runs", "every_cell_is_measured"),
    ("model_runs", "judges_are_examined_alike"),
}
JOBS = (
    *("refresh", "plan", "answers", "your_metrics", "scores", "ragas", "ragas_contexts"),
    *("benchmark_judges", "production_judges", "report", "analytics", "map"),
    *("retrievers", "compare_retrievers", "eval_runs", "canary"),
)
