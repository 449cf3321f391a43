"""Topic Coverage: what users ask about, what they get, and which topics need a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.analytics.domain import every_month
from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choice, choices
from rag_bench.dashboard.page.parts import (
    Page,
    heading,
    join,
    link,
    metric_help,
    numbered,
    paragraph,
    said,
)
from rag_bench.dashboard.page.tables import Col, long_cell, metric_cell, number_cell, table
from rag_bench.dashboard.tabs.analytics import metrics_table, newest_analysis
from rag_bench.dashboard.tabs.models_topics import pair_choice, shown_pair
from rag_bench.dashboard.texts import shown
from rag_bench.evaluation.metrics.source_analytics import TOPICS
from rag_bench.evaluation.ranking import percent
from rag_bench.reporting.details import topic_changes
from rag_bench.store import evaluations
from rag_bench.store.evaluations import uses

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words
    from rag_bench.reporting.topic_scores import Pair, TopicScores
    from rag_bench.store.evaluations import StoredEvaluation

_SORTS = ("unanswered", "largest", "least_similar", "least_answered", "lowest_score")
_LINES = 6
_FIRST = 5
# So many questions outside of all topics are a reason to make topics anew.
_MUCH_OUTSIDE = 0.1


def page(context: Context) -> Page:
    """Return the page."""
    words, view, made = context.words, context.view, Page()
    found = newest_analysis(context, TOPICS, "rag-bench analyze-topic-coverage", made)
    if found is None:
        return made
    topics = [dict(case.scores) for case in context.keep(evaluations.cases_of, found.id)]
    gaps = gaps_of(context, found)
    if gaps:
        made.add(said(words("topics_need"), "warn"), numbered(gap_lines(context, gaps)))
    else:
        made.add(said(words("no_gaps")))
    scores = context.board.by_topic if context.board else None
    pair = shown_pair(context, scores) if scores else None
    if scores is not None and pair is not None:
        scored = {t.key: scores.of_topic(pair, t.key) for t in scores.topics}
        for topic in topics:
            topic["score"] = scored.get(topic.get("topic_key", ""))
        if scores.uncovered > 0:
            share = percent(scores.uncovered)
            made.add(said(words("traffic_uncovered", share=share), "warn"))
    if view.get("topic"):  # who comes for one topic finds it first
        _samples(context, topics, gaps, made)
    _map(context, topics, gaps, scores, pair, made)
    sort = view.get("sort") if view.get("sort") in _SORTS else _SORTS[0]
    made.add(heading(words("topics")), paragraph(words("topics_help")))
    options = [(one, words(f"order_{one}")) for one in _SORTS]
    made.add(choices(choice("sort", words("order"), options, sort)))
    _table(context, sorted(topics, key=lambda t: _key(sort, t)), scores, pair, made)
    if not view.get("topic"):
        _samples(context, topics, gaps, made)
    _changes(context, found, made)
    _months(context, found.id, topics, made)
    metrics_table(context, found, "topic-metrics", made)
    return made


def gaps_of(context: Context, found: StoredEvaluation) -> list[dict[str, Any]]:
    """Return the topics that look uncovered, the most unanswered questions first."""
    topics = [dict(case.scores) for case in context.keep(evaluations.cases_of, found.id)]
    return sorted((t for t in topics if t["gaps"]), key=_unanswered, reverse=True)


def gap_lines(context: Context, gaps: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Return the first topics that look uncovered as links, each with why."""
    words = context.words
    return [
        join(
            [
                link(topic["name"], context.view.link("topics", topic=name_of(topic))),
                ": ",
                words(
                    "gap_line",
                    n=topic["question_count"],
                    unanswered=round(_unanswered(topic)),
                    why=_why(topic, words),
                ),
            ]
        )
        for topic in gaps[:_FIRST]
    ]


def _why(topic: Mapping[str, Any], words: Words) -> str:
    return ", ".join(words(f"gap_{gap}") for gap in topic["gaps"])


def _unanswered(topic: Mapping[str, Any]) -> float:
    """Questions of a topic that production did not answer."""
    return float(topic["question_count"] * (1 - (topic["with_answers_rate"] or 0)))


def _key(sort: str, topic: Mapping[str, Any]) -> tuple[float, int]:
    by = {
        "unanswered": -_unanswered(topic),
        "largest": -topic["question_count"],
        "least_similar": topic["mean_best_similarity"] or 0.0,
        "least_answered": topic["with_answers_rate"] or 0.0,
        # What was not measured stands last.
        "lowest_score": _value(topic.get("score"), float("inf")),
    }
    return float(by[sort]), topic["topic_id"]


def _value(metric: Mapping[str, Any] | None, otherwise: float) -> float:
    return otherwise if metric is None or metric["value"] is None else float(metric["value"])


def _map(
    context: Context,
    topics: Sequence[Mapping[str, Any]],
    gaps: Sequence[Mapping[str, Any]],
    scores: TopicScores | None,
    pair: Pair | None,
    made: Page,
) -> None:
    """Add the map of gaps: traffic, what is answered, what is found, what models make of it."""
    words = context.words
    made.add(heading(words("gap_map")), paragraph(words("gap_map_help")))
    if scores is None or pair is None:
        command = Markup("<code>rag-bench analyze-topic-coverage</code>")
        made.add(said(join([words("no_topic_scores"), " ", command]), "note"))
    else:
        made.add(choices(pair_choice(context, scores, pair)))
    # A point has room for the number that its topic has in the list above, not for its name.
    numbers = {topic["name"]: str(n) for n, topic in enumerate(gaps[:_FIRST], 1)}
    sizes = {t["name"]: t["question_count"] for t in topics}
    groups: dict[str, list[Any]] = {}
    for topic in topics:
        group = words("gap_topic") if topic["gaps"] else words("covered_topic")
        at = (topic["with_answers_rate"], topic["mean_best_similarity"], topic["name"])
        groups.setdefault(group, []).append(at)
    made.add(
        figures.points(
            groups, words("answered_share"), words("similarity"), sizes=sizes, labels=numbers
        )
    )
    if scores is None or pair is None:
        return
    title = words.title(scores.column.title)
    groups = {}
    for topic in topics:
        if (value := _value(topic.get("score"), -1.0)) >= 0:
            group = words("gap_topic") if topic["gaps"] else words("covered_topic")
            groups.setdefault(group, []).append((topic["with_answers_rate"], value, topic["name"]))
    if groups:
        made.add(paragraph(words("gap_map_scores", model=pair[0])))
        made.add(
            figures.points(
                groups, words("answered_share"), f"{title} ↑", sizes=sizes, labels=numbers
            )
        )


def _table(
    context: Context,
    topics: Sequence[Mapping[str, Any]],
    scores: TopicScores | None,
    pair: Pair | None,
    made: Page,
) -> None:
    words, view = context.words, context.view
    n_items = {topic.key: topic.n_items for topic in scores.topics} if scores else {}
    rows: list[list[Any]] = [
        [
            long_cell(link(topic["name"], view.link(topic=name_of(topic))), topic["name"]),
            number_cell(topic["question_count"]),
            number_cell(round(_unanswered(topic))),
            metric_cell(topic["metrics"]["with_answers_rate"], words),
            metric_cell(topic["metrics"]["mean_best_similarity"], words),
            metric_cell(topic.get("score"), words, 2),
            number_cell(n_items.get(topic.get("topic_key", ""))),
            long_cell(_why(topic, words)) if topic["gaps"] else "",
            metric_cell(topic["metrics"]["satisfied_rate"], words),
            metric_cell(topic["metrics"]["mean_score"], words, 2),
            number_cell(topic["unique_chunks"]),
            number_cell(topic["unique_urls"]),
            number_cell(topic["silhouette"]),
        ]
        for topic in topics
    ]
    columns: list[Col | str] = [words("topic"), Col(words("questions"), numeric=True)]
    columns.append(Col(words("unanswered"), numeric=True))
    columns.append(Col(words("answered_share"), metric_help("with_answers_rate", words), True))
    columns.append(Col(words("similarity"), metric_help("mean_best_similarity", words), True))
    if scores is None or pair is None:
        columns.append(Col(words("benchmark_score"), numeric=True))
    else:
        title = f"{words.title(scores.column.title)} ↑ · {pair[0]}"
        columns.append(Col(title, metric_help(scores.column.metric, words), True))
    columns += [Col(words("benchmark_questions"), numeric=True), words("gap")]
    columns.append(Col(words("satisfied"), metric_help("satisfied_rate", words), True))
    columns += [Col(words(t), numeric=True) for t in ("mean_rating", "chunks", "page_urls")]
    columns.append(Col(words("silhouette"), metric_help("silhouette", words), True))
    made.add(table("topics", columns, rows, words, caption=words("topics")))


def name_of(topic: Mapping[str, Any]) -> str:
    """Return what a link calls a topic: its key, which stays; of older results its number."""
    return str(topic.get("topic_key", topic["topic_id"]))


def _samples(
    context: Context,
    topics: Sequence[Mapping[str, Any]],
    gaps: Sequence[Mapping[str, Any]],
    made: Page,
) -> None:
    words, wanted = context.words, context.view.get("topic")
    chosen = next((t for t in topics if name_of(t) == wanted), None)
    chosen = chosen or next(iter([*gaps, *topics]), None)
    if chosen is None:
        return
    texts = shown(context, list(chosen["sample_questions"]))
    made.add(heading(words("sample_questions") + ": " + chosen["name"]))
    options = [(name_of(t), t["name"]) for t in topics]
    made.add(choices(choice("topic", words("topic"), options, name_of(chosen), ())))
    made.add(paragraph(", ".join(chosen["keywords"])))
    made.add(
        table(
            "samples",
            [words("question")],
            [[t] for t in texts],
            words,
            caption=words("sample_questions"),
        )
    )


def _changes(context: Context, found: StoredEvaluation, made: Page) -> None:
    """Add what became of topics; results of before topics were kept say nothing of it."""
    words, result = context.words, found.inputs["result"]
    if "changes" not in result:
        return
    made.add(heading(words("topics_over_time")), paragraph(words("topics_over_time_help")))
    outside = result["changes"]["outside"]["value"] or 0.0
    line = words("topics_generation", n=result["generation"], outside=percent(outside))
    moved = (result["generation_changes"] or {}).get("moved")
    if moved:
        line += " " + words("topics_moved", share=percent(moved["value"] or 0.0))
    made.add(said(line, "warn" if outside > _MUCH_OUTSIDE else "note"))
    names = {
        "born": words("topic_born"),
        "died": words("topic_died"),
        "split": words("topic_split"),
        "merged": words("topic_merged"),
    }
    when = {"generation_changes": words("by_new_generation"), "changes": words("since_made")}
    rows = [
        [
            names[kind],
            when[field],
            one["name"],
            number_cell(one["n_questions"]),
            topic_changes.details(one, words("expected_questions")),
        ]
        for field in when
        for kind in topic_changes.KINDS
        for one in (result[field] or {}).get(kind, ())
    ]
    columns: list[Col | str] = [words("what"), words("when"), words("topic")]
    columns += [Col(words("questions"), numeric=True), words("details")]
    made.add(table("topic-changes", columns, rows, words, caption=words("topics_over_time")))


def _months(
    context: Context, evaluation_id: int, topics: Sequence[Mapping[str, Any]], made: Page
) -> None:
    words = context.words
    found = uses.topic_months(context.engine, evaluation_id)
    known = {month: 0 for counted in found.values() for month in counted if month}
    # A month without a question is seen as one.
    months = sorted(every_month(known))
    made.add(heading(words("topics_by_month")))
    if not months:
        made.add(paragraph(words("no_times")))
        return
    largest = sorted(topics, key=lambda t: -t["question_count"])
    series = {
        t["name"]: [(month, found.get(t["topic_id"], {}).get(month, 0)) for month in months]
        for t in largest[:_LINES]
    }
    made.add(paragraph(words("largest_topics", n=min(_LINES, len(topics)))))
    made.add(figures.lines(series, words("month"), words("questions")))
    rows: list[list[Any]] = [
        [
            long_cell(t["name"]),
            *(number_cell(found.get(t["topic_id"], {}).get(month, 0)) for month in months),
            number_cell(found.get(t["topic_id"], {}).get("", 0)),
        ]
        for t in largest
    ]
    columns: list[Col | str] = [words("topic"), *(Col(month, numeric=True) for month in months)]
    columns.append(Col(words("no_time"), numeric=True))
    made.add(table("topic-months", columns, rows, words, caption=words("topics_by_month")))
