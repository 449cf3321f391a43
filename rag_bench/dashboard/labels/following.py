"""What follows from labels: draws and how far they are, corrected scores, marks of judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page.parts import Page, heading, join, link, mark, paragraph, said
from rag_bench.dashboard.page.tables import Cell, Col, metric_cell, number_cell, table
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.people.guidelines import judge_guideline, labelled_metrics
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.store.labels.agreeing import standing
from rag_bench.store.labels.draws import draw_of_all, draws, evaluations_named
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.judged import Corrections, corrections
from rag_bench.store.labels.kept_calibrations import stale
from rag_bench.store.labels.labels import newest_label_id
from rag_bench.store.labels.listing import labelable_evaluations

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from rag_bench.dashboard.context import Context
    from rag_bench.evaluation.people.corrected import Correction
    from rag_bench.reporting.leaderboard import Leaderboard

_DRAWN, _MOST = 100, 1000
_OFFERED = 200
_LONGEST, _DIGITS = 200, 18


def corrected_of(context: Context, board: Leaderboard) -> Corrections | None:
    """Return the corrected scores of a board's leading measure; None if it is no rubric's."""
    from rag_bench.reporting.leaderboard import lead_column

    lead = lead_column(board.rows)
    if lead.metric not in labelled_metrics():
        return None
    newest = newest_label_id(context.engine)
    tier = lead.tier.removeprefix("tier_")
    return context.kept.of(
        context.engine, _corrections, board.settings_hash, tier, lead.metric, newest
    )


def _corrections(engine: Engine, settings: str, tier: str, metric: str, newest: int) -> Corrections:
    return corrections(engine, settings, tier, metric)


def corrected_section(
    context: Context, board: Leaderboard, made: Page, *, without_labels: bool = True
) -> None:
    """Add raw scores beside corrected ones, where there are labels; else what labels are for, or
    nothing.
    """
    from rag_bench.dashboard.tabs.common import model_name  # it asks here who was checked

    words, found = context.words, corrected_of(context, board)
    labels = found is not None and any(one.n_labels for one in found.found.values())
    if found is None or not (labels or without_labels):
        return
    made.add(heading(words("corrected_scores")), paragraph(words("corrected_scores_help")))
    if not labels:
        made.add(said(words("no_labels_yet"), "empty"))
        return
    rows: list[list[Any]] = [
        [
            Cell(model_name(model, words), model),
            Cell(model_name(judge, words), judge or ""),
            metric_cell(one.raw_mean.to_json(), words),
            metric_cell(one.mean.to_json() if one.mean else None, words),
            metric_cell(one.raw_good.to_json(), words),
            metric_cell(one.good.to_json() if one.good else None, words),
            number_cell(one.n_labels),
            Cell(
                Markup('<div class="rb-long">{}</div>').format(_how(context, one)),
                one.method or one.reason or "",
            ),
        ]
        for (model, judge), one in found.found.items()
    ]
    columns: list[Col | str] = [words("generation_model"), words("judge")]
    titles = ("score_raw", "score_corrected", "good_raw", "good_corrected", "n_labels")
    columns += [Col(words(title), numeric=True) for title in titles]
    columns.append(words("label_method"))
    made.add(table("corrected", columns, rows, words, caption=words("corrected_scores")))


def _how(context: Context, one: Correction) -> Markup:
    words = context.words
    text = Markup("{}").format(words(f"label_how_{one.method or one.reason}"))
    if one.method == "rogan_gladen":
        text += mark(words("errs_alike"), words("errs_alike_title"))
        verdict = one.transport.verdict if one.transport else "too_few"
        text += Markup(" <small>{}</small>").format(words(f"label_transport_{verdict}"))
    if one.n_disputed:
        text += Markup(" <small>{}</small>").format(words("label_disputed", n=one.n_disputed))
    return text


def draws_section(context: Context, made: Page) -> None:
    """Add the draws with how far they are, and a form that draws, for who may label."""
    from rag_bench.dashboard.labels.labelling import SCOPES

    words, view = context.words, context.view
    made.add(heading(words("people_labels"), anchor="rb-labels"), paragraph(words("labels_help")))
    rows: list[list[Any]] = []
    for one in draws(context.engine):
        stands = standing(context.engine, one)
        kappa = next((pair["kappa"].to_json() for pair in stands.pairs.values()), None)
        alpha = stands.alpha.to_json() if stands.alpha else None
        rows.append(
            [
                Cell(link(str(one.id), view.link(draw=one.id, case=None)), one.id),
                number_cell(one.evaluation_id),
                one.metric,
                f"{one.guideline} {one.guideline_version}",
                f"{stands.n_labelled}/{one.size}",
                ", ".join(f"{name} {len(cases)}" for name, cases in stands.labels.items()),
                metric_cell(kappa, words),
                metric_cell(alpha, words),
                number_cell(len(stands.to_settle)),
            ]
        )
    columns: list[Col | str] = [words("label_draw"), Col(words("evaluation"), numeric=True)]
    columns += [
        words(w) for w in ("label_rubric", "label_guideline_title", "label_done", "label_by")
    ]
    columns += [
        Col(words("people_kappa"), numeric=True),
        Col(words("label_alpha"), numeric=True),
        Col(words("to_settle"), numeric=True),
    ]
    if rows:
        made.add(table("draws", columns, rows, words, caption=words("people_labels")))
    if SCOPES & context.viewer.scopes:
        made.add(_new_draw(context))


def _new_draw(context: Context) -> Markup | None:
    """Return a form that draws: of which answers, and how many; None: there are no answers."""
    from rag_bench.dashboard.tabs.common import tier_name

    words = context.words
    rows = [
        *labelable_evaluations(context.engine, _OFFERED),
        *labelable_evaluations(context.engine, _OFFERED, verdicts=True),
    ]
    options = join(
        Markup('<option value="{}">{}</option>').format(
            row["run"] or row["id"],
            words(
                "label_of",
                id=row["id"],
                model=row["generation_model"],
                tier=tier_name(row["tier"], words),
                n=row["n_answers"],
            ),
        )
        for row in sorted(
            rows,
            key=lambda row: row["settings_hash"] != context.settings_hash,
        )
    )
    if not options:
        return None
    return Markup(
        '<form class="rb-act" data-act="label_draw"><label><span>{}</span> '
        '<select name="evaluation">{}</select></label><label><span>{}</span> '
        '<input class="rb-count" name="size" type="number" min="1" max="{}" value="{}" required>'
        '</label><label><span>{}</span> <select name="metric">{}</select></label>'
        "<button>{}</button></form>"
    ).format(
        words("label_of_evaluation"),
        options,
        words("label_how_many"),
        _MOST,
        _DRAWN,
        words("label_by_metric"),
        _metrics(context),
        words("label_draw_new"),
    )


def _metrics(context: Context) -> Markup:
    """Return what can be labelled, what models are ranked by first."""
    first = _metric_of(context)
    names = [first, *(name for name in labelled_metrics() if name != first)]
    return join(Markup('<option value="{0}">{0}</option>').format(name) for name in names)


def _metric_of(context: Context) -> str:
    """Return what is labelled unless something else is named: what models are ranked by."""
    from rag_bench.reporting.leaderboard import lead_column

    lead = lead_column(context.board.rows).metric if context.board is not None else ""
    return lead if lead in labelled_metrics() else labelled_metrics()[0]


def stale_note(context: Context, judges: list[str], made: Page) -> None:
    """Say which kept calibrations are stale, and why."""
    found = [one for one in stale(context.engine, judges) if one.reasons]
    if found:
        lines = join([Markup("<li>{}</li>").format(str(one)) for one in found])
        text = Markup("{}<ul>{}</ul>").format(context.words("calibration_stale"), lines)
        made.add(said(text, "warn"))


def draw_new(context: Context, connection: Connection, fields: Mapping[str, str]) -> Markup:
    """Draw cases of an evaluation, or of a run of the service, by what is to be labelled."""
    words = context.words
    given = fields.get("evaluation", "").strip()
    if not given or len(given) > _LONGEST or (given.isdigit() and len(given) > _DIGITS):
        raise RagBenchError(words("label_bad_evaluation"))
    size = fields.get("size", str(_DRAWN)).strip()
    if not (size.isascii() and size.isdigit() and len(size) < 6 and 0 < int(size) <= _MOST):
        raise RagBenchError(words("label_bad_size", most=_MOST))
    named = fields.get("metric", "").strip() or _metric_of(context)
    if named not in labelled_metrics():
        raise RagBenchError(words("label_bad_metric", known=", ".join(labelled_metrics())))
    metric = measure_of(named).metric
    guideline = keep_guideline(connection, metric, judge_guideline(metric), context.viewer.user_id)
    made = draw_of_all(
        context.engine,
        evaluations_named(context.engine, given, metric),
        metric,
        guideline,
        size=int(size),
        user_id=context.viewer.user_id,
        connection=connection,
    )
    n, of_all = sum(one.size for one in made), sum(one.n_cases for one in made)
    links = [
        link(
            words("label_start") if len(made) == 1 else words("label_start_n", n=one.id),
            context.view.link("judges", draw=one.id, case=None),
        )
        for one in made
    ]
    told = [words("label_drawn", n=n, all=of_all), " ", join(links, " · ")]
    return said(join(told), "note")
