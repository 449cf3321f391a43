"""Overview: what is measured now, who leads, what got worse, what is missing, what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rag_bench.answer_sources import source_of
from rag_bench.dashboard.page.forms import choices
from rag_bench.dashboard.page.parts import (
    Page,
    bullets,
    cards,
    heading,
    join,
    link,
    metric_help,
    numbered,
    paragraph,
    said,
)
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    metric_cell,
    number,
    number_cell,
    table,
    usd_cell,
)
from rag_bench.dashboard.shell import without_results
from rag_bench.dashboard.tabs.common import (
    SHORT,
    is_checked,
    judge_name,
    measured_elsewhere,
    measured_line,
    model_name,
    model_names,
    moment,
    settings_choice,
    step_name,
)
from rag_bench.dashboard.tabs.parts.changes import changes_part
from rag_bench.dashboard.tabs.parts.gate_verdict import of_release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.leaderboard import Leaderboard
    from rag_bench.store.calls import Usage
    from rag_bench.store.snapshots import SnapshotInfo


def page(context: Context) -> Page:
    """Return the page."""
    from rag_bench.store.snapshots import current_snapshot

    words, made = context.words, Page()
    snapshot = current_snapshot(context.engine)
    if snapshot is None:
        made.add(said(words("no_dump"), "empty"))
    board = context.board
    if board is None:
        made.add(without_results(context), *_failed(context), *_cost(context))
        return made
    made.add(choices(settings_choice(context)), measured_line(context, board))
    made.add(_cards(context, board, snapshot), *_notes(context, board))
    made.add(*of_release(context))
    made.add(*changes_part(context, board), *_topics(context), *_missing(context, board))
    made.add(*_failed(context), *_cost(context))
    return made


def _cards(context: Context, board: Leaderboard, snapshot: SnapshotInfo | None) -> Markup:
    from rag_bench.reporting.board import gates, generators, judges

    words, view = context.words, context.view
    lines, gate_lines = generators(board), gates(board)
    leader = lines[0]
    metric = leader.row.metric(leader.lead)
    tied = [line.model for line in lines if line.standing.tied]
    told = words("tied_with", models=", ".join(tied)) if tied else words("nobody_tied")
    if leader.standing.rank is None:
        told = words("not_ranked", reason=words.sentence(leader.standing.reason or ""))
    judge = leader.row.benchmark_judge_model
    lead_text = join(
        [
            words.title(leader.lead.title),
            metric_help(leader.lead.metric, words),
            ": ",
            metric_cell(metric, words, 2).shown,
            Markup("<br>"),
            words("by"),
            " ",
            judge_name(judge, words, checked=is_checked(context, judge, leader.lead.metric)),
            Markup("<br>"),
            told,
        ]
    )
    items: list[tuple[object, object, object]] = [
        (
            link(words("generation_model"), view.link("models")),
            model_name(leader.model, words),
            lead_text,
        )
    ]
    counting = [line for line in judges(board) if line.counts]
    if counting:
        first = counting[0]
        kappa = (first.metrics or {}).get("label_kappa")
        elsewhere = measured_elsewhere(context, "judge", "judges")
        text: object = join([words("never_checked"), ". ", elsewhere])
        if kappa and kappa["value"] is not None:
            text = join(
                [
                    words("label_kappa"),
                    metric_help("label_kappa", words),
                    ": ",
                    metric_cell(kappa, words, 2).shown,
                ]
            )
        items.append(
            (
                link(words("benchmark_judge"), view.link("judges")),
                model_name(first.model, words),
                text,
            )
        )
    if gate_lines:
        gate = gate_lines[0]
        text = join(
            [
                "F1",
                metric_help("f1_score", words),
                ": ",
                metric_cell(gate.metric("f1_score"), words, 2).shown,
            ]
        )
        items.append(
            (
                link(words("production_judge"), view.link("gates")),
                model_name(gate.model, words),
                text,
            )
        )
    elif there := measured_elsewhere(context, "judge_pipeline", "gates"):
        title = link(words("production_judge"), view.link("gates"))
        items.append((title, words("not_measured_here"), there))
    if snapshot is not None:
        text = words(
            "dump_holds",
            chunks=number(snapshot.n_chunks),
            questions=number(snapshot.n_questions),
            at=moment(snapshot.loaded_at),
        )
        # A long name is broken at its parts, not inside a number.
        name = Markup("_<wbr>").join(snapshot.name.split("_"))
        items.append((words("dump"), name, text))
    return cards(items)


def _notes(context: Context, board: Leaderboard) -> list[object]:
    from rag_bench.reporting.leaderboard import lead_column

    words = context.words
    found: list[object] = []
    if any(row.simulated for row in board.rows):
        found.append(said(words("simulated_present"), "warn"))
    lead = lead_column(board.rows)
    unchecked = [
        judge
        for judge in board.ranking.judges
        if judge and not is_checked(context, judge, lead.metric)
    ]
    if unchecked:
        metric = words.title(lead.title)
        told = words("unchecked_lead", metric=metric, judges=", ".join(unchecked))
        there = measured_elsewhere(context, "judge", "judges")
        found.append(said(join([told, " ", there]), "warn"))
    found += [said(words("instrument_mark", mark=mark), "warn") for mark in board.instrument_marks]
    return found


def _topics(context: Context) -> list[object]:
    """Return the topics to look at first; nothing where topics were not analysed."""
    from rag_bench.dashboard.tabs.topics import gap_lines, gaps_of
    from rag_bench.evaluation.metrics.source_analytics import TOPICS
    from rag_bench.tiers.traffic.analytics import newest

    words = context.words
    found = context.keep(newest, TOPICS)
    if found is None:
        return []
    gaps = gaps_of(context, found)
    more = link(words("all_topics"), context.view.link("topics"))
    if not gaps:
        return [heading(words("topic_gaps")), paragraph(join([words("no_gaps"), " ", more]))]
    return [heading(words("topic_gaps")), numbered(gap_lines(context, gaps)), paragraph(more)]


def _missing(context: Context, board: Leaderboard) -> list[object]:
    from rag_bench.reporting.board import gates, generators, judges, not_configured

    words, found = context.words, []
    if board.configured is not None:
        there = {line.model for line in generators(board)}
        scored = {line.model for line in judges(board)}
        gated = {line.model for line in gates(board)}
        for role, configured, measured in (
            ("generation_model", board.configured.generation, there),
            ("benchmark_judge", board.configured.benchmark_judges, scored),
            ("production_judge", board.configured.production_judges, gated),
        ):
            absent = [one for one in configured if one not in measured and not source_of(one)]
            if absent:
                found.append(words("not_measured", role=words(role), models=", ".join(absent)))
    partly = [line for line in generators(board) if line.n_scored < line.n_expected]
    found += [
        words("partly_scored", model=line.model, n=line.n_scored, all=line.n_expected)
        for line in partly
    ]
    found += [words("no_longer_configured", model=model) for model in not_configured(board)]
    parts: list[object] = [heading(words("what_is_missing"))]
    if not found:
        return [*parts, paragraph(words("nothing_missing"))]
    # By its id: a name may hold blanks, be masked, or be that of a newer dataset, too.
    sweep = Markup("rag-bench sweep --dataset {}").format(board.dataset.id[:SHORT])
    command = Markup("<code>{}</code>").format(sweep)
    again = Markup("<code>{} --retry-failed</code>").format(sweep)
    parts += [bullets(found), paragraph(join([words("missing_command"), " ", command]))]
    if partly:
        parts.append(paragraph(join([words("partly_command"), " ", again])))
    return parts


def _failed(context: Context) -> list[object]:
    from rag_bench.store.evaluations.listing import listed

    words, view = context.words, context.view
    failed, n_failed = listed(context.engine, status="failed", limit=5)
    _, n_partial = listed(context.engine, status="partial", limit=1)
    if not n_failed and not n_partial:
        return []
    parts: list[object] = [heading(words("what_failed"))]
    counted = (
        ("failed", n_failed, words("n_failed", n=n_failed)),
        ("partial", n_partial, words("n_partial", n=n_partial)),
    )
    parts.append(
        bullets(
            link(said_of, view.link("runs", status=status)) for status, n, said_of in counted if n
        )
    )
    parts.append(
        bullets(
            join(
                [
                    link(f"№ {one.id}", view.link("runs", evaluation=one.id)),
                    step_name(one.tier, one.kind, words).shown,
                    model_names(one.models, words).shown,
                ],
                " · ",
            )
            for one in failed
        )
    )
    return parts


def _usage(engine: Engine) -> list[Usage]:
    from rag_bench.store.calls import usage

    with engine.connect() as connection:
        return usage(connection)


def _cost(context: Context) -> list[object]:
    from rag_bench.store.calls import newest_call

    words = context.words
    with context.engine.connect() as connection:
        newest = newest_call(connection)
    found = context.kept.of(context.engine, _usage, there=newest)
    if not found:
        return []
    known = [float(one.cost_usd) for one in found if one.cost_usd is not None]
    total = sum(one.n_ok + one.n_discarded for one in found)
    text = words("cost_sum", calls=number(total), usd=number(sum(known), 2) if known else "–")
    parts = [heading(words("what_it_cost")), paragraph(text)]
    return [*parts, usage_table(context, found, words("cost_caption"))]


def usage_table(context: Context, found: Sequence[Usage], caption: str) -> Markup:
    """Return what was asked and what it cost, by role and model; no price is an empty cell."""
    words = context.words
    rows = [
        [
            words.known(f"role_{one.role}", one.role),
            Cell(model_name(f"{one.provider}/{one.model}", words), f"{one.provider}/{one.model}"),
            number_cell(one.n_ok + one.n_discarded),
            number_cell(one.n_error),
            number_cell(one.prompt_tokens),
            number_cell(one.completion_tokens),
            usd_cell(None if one.cost_usd is None else float(one.cost_usd)),
            number_cell(one.n_cost_unknown),
            number_cell(one.latency_ms_p50, 0),
            number_cell(one.latency_ms_p95, 0),
        ]
        for one in found
    ]
    titles = ("calls", "failed_calls", "prompt_tokens", "completion_tokens", "usd", "without_price")
    columns: list[Col | str] = [words("role"), words("model")]
    columns += [Col(words(title), numeric=True) for title in titles]
    columns += [Col(f"{words('latency_ms')} p50", numeric=True), Col("p95", numeric=True)]
    return table("cost", columns, rows, words, caption=caption)
