"""What a run measures, field by field: the run config of the resource ``benchmark``.

The commands' flags are these fields as well (`rag_bench.cli.flags`), so a field that is added here
can be set in the Launchpad and on the command line. Only pydantic is imported: ``--help`` is quick.
"""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field

from rag_bench.searches import IN_WORDS, Search


def bounds(least: float, most: float | None = None) -> dict[str, Any]:
    """Return what a flag refuses; the resource itself says so in words when it is opened."""
    return {"min": least} if most is None else {"min": least, "max": most}


class BenchmarkFields(BaseModel):
    """What a run measures; see `rag_bench.resources.BenchmarkResource`, which these are part of."""

    dataset: str | None = Field(
        default=None,
        description="Dataset id, id prefix or name (in a command, also a file); empty: the current "
        "snapshot's default.",
    )
    mode: Literal["", "synthetic", "manual"] = Field(
        default="",
        description="synthetic or manual: which kind of dataset to take when none is named.",
    )
    limit: int | None = Field(
        default=None,
        description="Only the first N questions, and labelled pairs.",
        json_schema_extra=bounds(1),
    )
    pairs: str = Field(
        default="",
        description="Labelled pairs (id or name; in a command, also a file) for tiers judge and "
        "judge_pipeline, of whatever snapshot; empty: the newest imported for the current one.",
    )
    retriever: str = Field(
        default="default",
        description="Name of a retriever, which finds the chunks in tiers 1 and 3; default: as the "
        "other settings say.",
    )
    top_k: int | None = Field(
        default=None,
        description="Chunks retrieved in tier 1; empty: the retriever's, else RAG_BENCH_TOP_K.",
        json_schema_extra=bounds(1),
    )
    search: Literal["", Search] = Field(
        default="",
        description=f"{IN_WORDS}. Of the retriever default; empty: RAG_BENCH_SEARCH, else exact.",
    )
    contexts_per_answer: int | None = Field(
        default=None,
        description="Chunks given to the generator in tier 3; production used 1.",
        json_schema_extra=bounds(1),
    )
    consistency_runs: int = Field(
        default=1,
        description="Answers per question; the first is judged, all enter consistency.",
        json_schema_extra=bounds(1),
    )
    judge_eval_mode: Literal["direct", "reasoned"] = Field(
        default="direct",
        description="direct, or reasoned: the judge writes its reasoning first.",
    )
    tier3_all_rubrics: bool = Field(
        default=False,
        description="Score tier 3 by faithfulness, relevance and correctness as well.",
    )
    cached_answers: bool = Field(
        default=False,
        description="As in production, tier 3 answers a question that is close to one rated 5 "
        "with the stored answer; no model is asked.",
    )
    cache_threshold: float | None = Field(
        default=None,
        description="Least cosine similarity of a cached question, for tier ux and "
        "cached_answers; empty: RAG_BENCH_CACHE_THRESHOLD.",
        json_schema_extra=bounds(-1, 1),
    )
    retry_failed: bool = Field(
        default=False, description="Ask again where a reply could not be used."
    )


def words_of(name: str) -> tuple[str, ...]:
    """Return the words that a field of the run config may be; none where it may be anything."""
    annotation = BenchmarkFields.model_fields[name].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()
