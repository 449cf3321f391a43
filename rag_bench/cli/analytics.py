"""``rag-bench analyze-…``: what users' questions say about the sources. Asks no model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from rag_bench.cli.app import app, check_stage, console, errors, open_engine, open_sweep, uncut
from rag_bench.cli.app import progress_bars as bars
from rag_bench.errors import RagBenchError
from rag_bench.reporting.details import topic_changes
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.sweep import StageResult, Sweep
    from rag_bench.tiers.traffic.analysis import Analysis

_ROWS = 10
_WIDTH = 160  # characters


@dataclass(frozen=True)
class Wanted:
    """One analysis to make: its asset, the asset's run config, and the file of its result.

    ``samples``: keep users' questions in the file as well; they are shown in the UI anyway.
    """

    asset: str
    config: Mapping[str, Any]
    output: Path | None = None
    samples: bool = False


def utilization(
    questions_source: str, question_limit: int, top_k: int, output: Path | None = None
) -> Wanted:
    """Return the wish for chunk utilization.

    Raises:
        RagBenchError: an unknown source.
    """
    if questions_source not in ("synthetic", "real"):
        raise RagBenchError(
            f"The source of questions is {questions_source!r}; it can be synthetic or real."
        )
    config = {
        "questions_source": questions_source,
        "question_limit": question_limit,
        "top_k": top_k,
    }
    return Wanted("chunk_utilization", config, output)


def topics(
    question_limit: int,
    n_topics: int,
    top_k: int,
    reduction: str = "pca",
    output: Path | None = None,
    samples: bool = False,
    refit: bool = False,
) -> Wanted:
    """Return the wish for topic coverage.

    Raises:
        RagBenchError: an unknown reduction.
    """
    if reduction not in ("pca", "umap"):
        raise RagBenchError(f"--reduction is {reduction!r}; it can be pca or umap.")
    config = {
        "question_limit": question_limit,
        "n_topics": n_topics,
        "top_k": top_k,
        "reduction": reduction,
        "refit": refit,
    }
    return Wanted("topic_coverage", config, output, samples)


def domain(limit: int, output: Path | None = None) -> Wanted:
    """Return the wish for the users' domain."""
    return Wanted("domain_insights", {"limit": limit}, output)


@app.command("analyze-chunk-utilization")
def analyze_chunk_utilization(
    questions_source: Annotated[
        str, typer.Option(help="real (of users), or synthetic (of the newest such dataset).")
    ] = "real",
    question_limit: Annotated[
        int, typer.Option(help="A random sample of so many, if there are more.", min=1)
    ] = 500,
    top_k: Annotated[int, typer.Option(help="Chunks found per question.", min=1)] = 10,
    output: Annotated[
        Path | None, typer.Option(help="JSON; default: utilization.json among the reports.")
    ] = None,
) -> None:
    """Say which chunks questions find, and which none ever does."""
    _one(utilization(questions_source, question_limit, top_k, output))


@app.command("analyze-topic-coverage")
def analyze_topic_coverage(
    question_limit: Annotated[
        int, typer.Option(help="A random sample of so many, if there are more.", min=1)
    ] = 2000,
    n_topics: Annotated[int, typer.Option(help="At most so many topics.", min=1)] = 20,
    top_k: Annotated[int, typer.Option(help="Chunks found per question.", min=1)] = 5,
    reduction: Annotated[str, typer.Option(help="pca, or umap (a minute more).")] = "pca",
    output: Annotated[
        Path | None, typer.Option(help="JSON; default: topic_coverage.json among the reports.")
    ] = None,
    include_samples: Annotated[
        bool,
        typer.Option("--include-samples", help="Write users' questions (masked) into the file."),
    ] = False,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="Make a new generation of topics, instead of using the known ones."
        ),
    ] = False,
) -> None:
    """Group users' questions by topic; say what is found for each, what is answered and liked."""
    _one(topics(question_limit, n_topics, top_k, reduction, output, include_samples, refit))


@app.command("analyze-real-users-domain")
def analyze_real_users_domain(
    limit: Annotated[
        int, typer.Option(help="A random sample of so many, if there are more.", min=1)
    ] = 5000,
    output: Annotated[
        Path | None,
        typer.Option(help="JSON; default: real_users_domain_analysis.json among the reports."),
    ] = None,
) -> None:
    """Describe users' questions: answered and rated shares, words, slang, months."""
    _one(domain(limit, output))


def analytics_stage(running: Sweep, engine: Engine, wanted: Sequence[Wanted]) -> list[StageResult]:
    """Make analyses as part of a larger command: one run each, a summary and a file of each.

    One without questions to analyse is a note; one that failed is in the results' errors.
    """
    from rag_bench.tiers.traffic.analysis import NoQuestionsError

    results = []
    for wish in wanted:
        result = _materialize(running, wish)
        results.append(result)
        if result.errors:
            continue
        try:
            _publish(engine, wish)
        except NoQuestionsError as error:
            errors.print(f"note: {wish.asset}: {error}", highlight=False)
    return results


def _one(wish: Wanted) -> None:
    from rag_bench.store import snapshots

    engine = open_engine()
    snapshots.require_current(engine)
    check_stage(_materialize(open_sweep(), wish))
    _publish(engine, wish)


def _materialize(running: Sweep, wish: Wanted) -> StageResult:
    with bars():
        # With new topics the benchmark's questions are put into them as well.
        assets = [wish.asset, *(["benchmark_topics"] if wish.asset == "topic_coverage" else [])]
        return running.materialize(
            wish.asset.replace("_", " "), assets, ops={wish.asset: wish.config}
        )


def _publish(engine: Engine, wish: Wanted) -> None:
    """Print what an analysis found and write its file; it is read back, not made again."""
    from rag_bench.tiers.traffic import analytics as tier
    from rag_bench.tiers.traffic.analysis import open_analysis

    read: Callable[[Analysis], StoredEvaluation]
    show: Callable[[Mapping[str, Any]], None]
    if wish.asset == "chunk_utilization":
        of_chunks = tier.UtilizationConfig(**wish.config)
        read = lambda opened: tier.chunk_utilization(opened, of_chunks)  # noqa: E731
        show, name = _show_utilization, "utilization.json"
    elif wish.asset == "topic_coverage":
        of_topics = tier.TopicsConfig(**wish.config)
        read = lambda opened: tier.topic_coverage(opened, of_topics)  # noqa: E731
        show, name = _show_topics, "topic_coverage.json"
    else:
        of_users = tier.DomainConfig(**wish.config)
        read = lambda opened: tier.domain_insights(opened, of_users)  # noqa: E731
        show, name = _show_domain, "real_users_domain_analysis.json"
    analysis = open_analysis(engine)
    content = tier.as_json(analysis, read(analysis))
    if not wish.samples:
        for topic in content.get("topic_coverage", []):
            topic["sample_questions"] = []
    console.print(
        f"{content['questions_sampled']} of {content['questions_in_source']} questions "
        f"({content['blank_questions']} blank)",
        highlight=False,
    )
    show(content)
    path = wish.output or get_settings().reports_dir / name
    write_json(path, content)
    typer.echo(f"written: {path}")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all.

    Raises:
        RagBenchError: it cannot be written there.
    """
    staging = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.write_text(
            json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
        staging.replace(path)
    except OSError as error:
        raise RagBenchError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        with suppress(OSError):
            staging.unlink(missing_ok=True)


def _show_utilization(content: Mapping[str, Any]) -> None:
    _line("chunks found by any question", content["metrics"]["utilization_rate"])
    _line("pages found by any question", content["metrics"]["page_utilization_rate"])
    _line("found by the most used tenth", content["metrics"]["top_tenth_share"])
    table = Table("page", "never found", title=f"{content['unused_chunks']} chunks are never found")
    for row in content["unused_chunk_list"][:_ROWS]:
        # Texts of others are no markup.
        table.add_row(Text(row["page_url"]), Text(row["text"][:80]))
    if content["unused_chunks"]:
        _print_table(table)


def _show_topics(content: Mapping[str, Any]) -> None:
    for name in ("with_answers_rate", "silhouette", "avg_chunks_per_topic"):
        _line(name.replace("_", " "), content["metrics"][name])
    table = Table(title=f"{content['n_topics']} topics", title_justify="left")
    table.add_column("topic")
    for name in ("questions", "chunks", "pages", "answered", "similarity", "score"):
        table.add_column(name, justify="right")
    table.add_column("gap")
    for topic in content["topic_coverage"]:
        table.add_row(
            Text(topic["name"]),
            *(str(topic[name]) for name in ("question_count", "unique_chunks", "unique_urls")),
            *(
                _number(topic[name])
                for name in ("with_answers_rate", "mean_best_similarity", "mean_score")
            ),
            ", ".join(gap.replace("_", " ") for gap in topic["gaps"]),
        )
    _print_table(table)
    for what, topic, n, details in topic_changes.rows(content):
        line = f"{what}: {topic} ({n} questions)" + (f": {details}" if details else "")
        console.print(line, highlight=False, markup=False)


def _print_table(table: Table) -> None:
    # Wide enough for all columns, also where the output goes into a file.
    uncut(_WIDTH).print(table)


def _show_domain(content: Mapping[str, Any]) -> None:
    for name in ("with_answers_rate", "satisfied_rate", "avg_question_length"):
        _line(name.replace("_", " "), content["metrics"][name])
    console.print(f"scores: {content['score_distribution']}", highlight=False, markup=False)
    if said := content.get("rating_note"):
        console.print(f"note: {said}", highlight=False, markup=False)
    for name in ("top_tokens_all", "typical_tokens_without_answers"):
        found = ", ".join(f"{row[0]} {row[1]}" for row in content[name][:_ROWS]) or "–"
        console.print(f"{name.replace('_', ' ')}: {found}", highlight=False, markup=False)
    slang = {word: n for word, n in content["slang_indicator_counts"].items() if n}
    console.print(f"slang (questions): {slang}", highlight=False)


def _line(title: str, metric: Mapping[str, Any]) -> None:
    interval = (
        f", 95 % interval {_number(metric['ci_low'])} to {_number(metric['ci_high'])}"
        if metric["ci_low"] is not None
        else ""
    )
    console.print(
        f"{title}: {_number(metric['value'])}{interval} ({metric['n_scored']} of "
        f"{metric['n_expected']})",
        highlight=False,
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
