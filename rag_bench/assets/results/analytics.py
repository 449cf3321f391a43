"""Group analytics: what users' questions say about the sources. No model is asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from rag_bench import progress
from rag_bench.assets.factories.cells import log_progress, result_version
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import (
    bars,
    followed,
    metrics_table,
    picture,
    reading_order,
    span,
    table,
)
from rag_bench.assets.inputs.datasets import synthetic_dataset
from rag_bench.assets.inputs.embeddings import chunk_embeddings, question_embeddings
from rag_bench.assets.inputs.source import chunk, question_answer
from rag_bench.reporting.details import topic_changes
from rag_bench.resources import DatabaseResource

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.traffic.analysis import Analysis

GROUP = "analytics"
_ROWS = 20


class UtilizationRunConfig(dg.Config):
    """Whose questions look for chunks, how many of them, and how many chunks each finds."""

    questions_source: Literal["synthetic", "real"] = Field(
        default="real",
        description="real: the questions of users, of question_answer; synthetic: those that a "
        "model wrote about the chunks.",
    )
    question_limit: int = Field(
        default=500, ge=1, description="A random sample of so many, if there are more."
    )
    top_k: int = Field(default=10, ge=1, description="Chunks found per question.")
    dataset: str = Field(
        default="",
        description="Of synthetic questions, by id or name; empty: the newest about the snapshot.",
    )


class TopicsRunConfig(dg.Config):
    """How users' questions are grouped."""

    question_limit: int = Field(
        default=2000, ge=1, description="A random sample of so many, if there are more."
    )
    n_topics: int = Field(default=20, ge=1)
    top_k: int = Field(default=5, ge=1, description="Chunks found per question.")
    reduction: Literal["pca", "umap"] = Field(
        default="pca",
        description="umap separates topics somewhat better and takes about a minute more.",
    )
    show_samples: bool = Field(
        default=True,
        description="Keep five questions of each topic, with e-mails, links, phone and long "
        "numbers and names masked. Some names are missed: docs/privacy.md says how many.",
    )
    refit: bool = Field(
        default=False,
        description="Make a new generation of topics of these questions. Otherwise questions are "
        "put into the topics that are known, so that dumps can be compared.",
    )


class DomainRunConfig(dg.Config):
    """How many of the users' questions are looked at."""

    limit: int = Field(
        default=5000, ge=1, description="A random sample of so many, if there are more."
    )


@asset(
    group_name=GROUP,
    kinds={"postgres", "numpy"},
    deps=[chunk_embeddings, question_embeddings, synthetic_dataset],
    code_version="4",
)
def chunk_utilization(
    context: dg.AssetExecutionContext, config: UtilizationRunConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """Which chunks the questions ever find, which never, and whether more questions would help."""
    from rag_bench.tiers.traffic import analytics as tier

    given = tier.UtilizationConfig(
        config.questions_source, config.question_limit, config.top_k, config.dataset or None
    )
    return _analyse(
        context, database, lambda opened: tier.chunk_utilization(opened, given), _utilization
    )


@asset(
    group_name=GROUP,
    kinds={"postgres", "scikitlearn"},
    deps=[chunk_embeddings, question_embeddings],
    code_version="5",
)
def topic_coverage(
    context: dg.AssetExecutionContext, config: TopicsRunConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """What users ask about, how well each topic is covered, answered and liked; gaps first."""
    from rag_bench.tiers.traffic import analytics as tier

    given = tier.TopicsConfig(
        config.question_limit,
        config.n_topics,
        config.top_k,
        config.reduction,
        config.show_samples,
        config.refit,
    )
    return _analyse(context, database, lambda opened: tier.topic_coverage(opened, given), _topics)


@asset(
    group_name=GROUP,
    kinds={"postgres", "python"},
    deps=[chunk, question_answer],
    code_version="5",
)
def domain_insights(
    context: dg.AssetExecutionContext, config: DomainRunConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """How users write: answered and rated shares, words, slang, questions by month."""
    from rag_bench.tiers.traffic import analytics as tier

    given = tier.DomainConfig(config.limit)
    return _analyse(context, database, lambda opened: tier.domain_insights(opened, given), _domain)


def _analyse(
    context: dg.AssetExecutionContext,
    database: DatabaseResource,
    measure: "Callable[[Analysis], StoredEvaluation]",
    describe: "Callable[[Mapping[str, Any], StoredEvaluation], Mapping[str, Any]]",
) -> dg.MaterializeResult:
    """Run an analysis and say what it found; without questions, that there is no data."""
    from rag_bench.errors import NotInstalledError
    from rag_bench.tiers.traffic.analysis import NoQuestionsError, open_analysis
    from rag_bench.tiers.traffic.analytics import as_json

    analysis = open_analysis(database.engine, context.run.run_id, progress.report)
    try:
        with log_progress(context):
            found = measure(analysis)
    except (NoQuestionsError, NotInstalledError) as error:
        context.log.warning(str(error))
        return dg.MaterializeResult(
            data_version=dg.DataVersion("none"), metadata={"note": f"no data: {error}"}
        )
    content = as_json(analysis, found)
    metadata = {
        **describe(content, found),
        "metrics": metrics_table(found.metrics),
        **{
            name: followed(name, found.metrics[name])
            for name in reading_order(found.metrics)
            if found.metrics[name]["value"] is not None
        },
        "questions_in_source": content["questions_in_source"],
        "questions_sampled": content["questions_sampled"],
        "blank_questions": content["blank_questions"],
        "evaluation_id": str(found.id),
        "reused": found.reused,
        "settings_hash": found.settings_hash,
        "dump_sha256": analysis.snapshot.sha256,
    }
    return dg.MaterializeResult(
        data_version=dg.DataVersion(result_version(found)), metadata=metadata
    )


def _utilization(content: Mapping[str, Any], found: "StoredEvaluation") -> dict[str, Any]:
    used, total = content["used_chunks"], content["total_chunks"]
    metadata: dict[str, Any] = {
        "plot": picture(_growth_plot(content)),
        "most_used": table(
            ["page", "chunk", "found by questions", "as the first"],
            [
                [row["page_url"], row["chunk_hash"][:12], row["retrieved"], row["first"]]
                for row in content["retrieval_counts"][:_ROWS]
            ],
        ),
        "summary": f"{used} of {total} chunks are found by {content['question_count']} "
        f"{content['questions_source']} questions, top {content['top_k']}",
    }
    if content["unused_chunk_list"]:
        metadata["never_found"] = table(
            ["page", "id in dump", "text"],
            [
                [row["page_url"], row["source_id"], row["text"]]
                for row in content["unused_chunk_list"][:_ROWS]
            ],
        )
    return metadata


def _growth_plot(content: Mapping[str, Any]) -> "Figure":
    """Draw how many chunks are found by how many questions, and how unevenly they are used."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2))
    left, right = figure.subplots(1, 2)
    curve = content["expected_used_chunks"]
    left.plot([n for n, _ in curve], [found for _, found in curve], color="#4c78a8", linewidth=1.8)
    left.axhline(content["total_chunks"], color="#999999", linewidth=0.9, linestyle="--")
    left.set_ylim(0, content["total_chunks"] * 1.06)
    left.set_title("Chunks found by so many questions (dashed: all)", fontsize=9, loc="left")
    left.set_xlabel("questions, drawn at random", fontsize=8)
    counts = [row["retrieved"] for row in content["retrieval_counts"]]
    counts += [0] * content["unused_chunks"]
    right.fill_between(range(1, len(counts) + 1), counts, color="#4c78a8", step="mid")
    right.set_title("Times found, by chunk, most used first", fontsize=9, loc="left")
    right.set_xlabel("chunks", fontsize=8)
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def _topics(content: Mapping[str, Any], found: "StoredEvaluation") -> dict[str, Any]:
    topics = content["topic_coverage"]
    measured = [topic["metrics"]["with_answers_rate"] for topic in topics]
    title = f"Answered, by topic ({content['total_questions']} questions, 95 % intervals)"
    metadata: dict[str, Any] = {
        "plot": picture(
            bars(
                title,
                [f"{topic['name']} ({topic['question_count']})" for topic in topics],
                [metric["value"] for metric in measured],
                [(metric["ci_low"], metric["ci_high"]) for metric in measured],
                "share of questions that production answered",
                (0.0, 1.0),
            )
        ),
    }
    gaps = [topic for topic in topics if topic["gaps"]]
    if gaps:
        gaps.sort(key=lambda t: -t["question_count"] * (1 - t["with_answers_rate"]))
        metadata["gaps"] = _topic_table(gaps)
    metadata["topics"] = _topic_table(topics)
    metadata["generation"] = content["generation"]
    changed = list(topic_changes.rows(content))
    if changed:
        metadata["changes"] = table(["what", "topic", "questions", "details"], changed)
    if any(topic["sample_questions"] for topic in topics):
        metadata["sample_questions"] = table(
            ["topic", "questions of users"],
            [[topic["name"], text] for topic in topics for text in topic["sample_questions"]],
        )
    return metadata


def _topic_table(topics: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    rows = []
    for topic in topics:
        metrics = topic["metrics"]
        rows.append(
            [
                topic["name"],
                topic["question_count"],
                topic["unique_chunks"],
                topic["unique_urls"],
                topic["with_answers_rate"],
                span(metrics["with_answers_rate"]),
                topic["mean_best_similarity"],
                topic["mean_score"],
                metrics["mean_score"]["n_scored"],
                ", ".join(gap.replace("_", " ") for gap in topic["gaps"]),
            ]
        )
    columns = ["topic", "questions", "chunks", "pages", "answered", "95 % interval"]
    return table([*columns, "similarity", "score", "rated", "gap"], rows)


def _domain(content: Mapping[str, Any], found: "StoredEvaluation") -> dict[str, Any]:
    from rag_bench.analytics.domain import every_month

    months = every_month(content["questions_per_month"])
    typical = content["typical_tokens_without_answers"]
    tables: dict[str, tuple[Sequence[str], Sequence[Sequence[Any]]]] = {
        "typical_of_unanswered": (["word", "times", "z"], typical),
        "top_words": (["word", "times"], content["top_tokens_all"]),
        "scores": (["score", "questions"], list(content["score_distribution"].items())),
        "slang": (["word", "questions"], list(content["slang_indicator_counts"].items())),
    }
    return {
        "plot": picture(
            bars(
                "Questions by month",
                list(months),
                [float(n) for n in months.values()],
                [(None, None)] * len(months),
                "questions",
            )
        ),
        **{name: table(columns, rows) for name, (columns, rows) in tables.items() if rows},
        **({"ratings": content["rating_note"]} if content.get("rating_note") else {}),
        "with_answers": content["with_answers"],
        "refusal_texts": content["refusal_texts"],
    }


ASSETS = [chunk_utilization, topic_coverage, domain_insights]
