"""One question across all models: contexts, answers, scores, judges' reasons, a word diff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page.parts import Page, heading, join, link, mark, paragraph, said
from rag_bench.dashboard.page.tables import Cell, Col, digits_among, metric_col, number_cell, table
from rag_bench.dashboard.page.worddiff import word_diff
from rag_bench.dashboard.questions.calls import add_calls
from rag_bench.dashboard.questions.drafts import of_question
from rag_bench.dashboard.tabs.common import is_checked, judge_name, model_name
from rag_bench.dashboard.texts import case_named, masking_note, names_of_cases, shown
from rag_bench.store.evaluations import questions

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.leaderboard import Leaderboard
    from rag_bench.store.datasets import Item

_REASON = "reasoning_"


def one_question(context: Context, board: Leaderboard, wanted: questions.Wanted) -> Page:
    """Return the page of one question."""
    from rag_bench.store.datasets import get_item

    words, view, made = context.words, context.view, Page()
    case_id = case_named(context, board.dataset.id, view.get("case"))
    before, behind = questions.neighbours(context.engine, wanted, case_id)
    beside = [one for one in (case_id, before, behind) if one is not None]
    names_by_id = names_of_cases(context, board.dataset.id, beside)
    steps = [link(words("back_to_questions"), view.link(case=None))]
    for name, other, text in (("prev", before, "previous"), ("next", behind, "next")):
        if other is not None:
            steps.append(
                Markup('<a href="{}" data-go rel="{}">{}</a>').format(
                    view.link(case=names_by_id[other]), name, words(text)
                )
            )
    made.add(
        Markup('<nav class="rb-pager" aria-label="{}">{}</nav>').format(
            words("pages"), join(steps, " ")
        )
    )
    made.add(Markup("<p><small>{}</small></p>").format(words("keys_help")))
    item = get_item(context.engine, board.dataset.id, case_id)
    if item is None:
        made.add(said(words("no_such_question"), "warn"))
        return made
    question, reference = shown(context, [item.question, item.reference_answer or ""])
    made.add(heading(names_by_id[case_id]))
    made.add(Markup('<div class="rb-text">{}</div>').format(question))
    made.add(masking_note(context))
    of_question(context, board.dataset.id, case_id, made)
    if reference:
        made.add(heading(words("reference_answer"), 3))
        made.add(Markup('<div class="rb-text">{}</div>').format(reference))
    given = questions.given_for(context.engine, board.settings_hash, case_id)
    for tier in dict.fromkeys(one.tier for one in given):
        here = [one for one in given if one.tier == tier]
        made.add(heading(words(f"answers_tier_{tier}")))
        judged = [one for one in here if one.kind != "answers"]
        if judged:
            made.add(_scores(context, board, judged, f"scores-{tier}", words("scores_caption")))
        _answers(context, here, reference, made)
        _contexts(context, item, here, tier, made)
    answered = [one for one in given if one.kind == "answers"]
    made.add(
        heading(words("measures")),
        _scores(context, board, answered, "measures", words("measures_caption")),
    )
    add_calls(context, board.settings_hash, case_id, given, made)
    return made


def _scores(
    context: Context,
    board: Leaderboard,
    given: Sequence[questions.Given],
    name: str,
    caption: str,
) -> Markup:
    """Return a table of what one evaluation each holds: its measures beside each other."""
    words = context.words
    measures = sorted({name for one in given for name in _numbers(one)})
    digits = {name: digits_among(_numbers(one).get(name) for one in given) for name in measures}
    with_judges = any(one.benchmark_judge_model for one in given)
    rows: list[list[Any]] = []
    for one in given:
        numbers, judge = _numbers(one), one.benchmark_judge_model
        row: list[Any] = [
            one.tier,
            Cell(model_name(one.generation_model, words), one.generation_model),
        ]
        if with_judges:
            checked = is_checked(context, judge, *numbers)
            row.append(Cell(judge_name(judge, words, checked=checked), judge or ""))
        row += [number_cell(numbers.get(measure), digits[measure]) for measure in measures]
        failed = f"{one.error_code}: {words.known(f'code_{one.error_code}', '')}"
        row.append(Cell(failed if one.error_code else "", one.error_code or ""))
        rows.append(row)
    columns: list[Col | str] = [words("tier"), words("generation_model")]
    columns += [words("judge")] if with_judges else []
    columns += [metric_col(measure, words) for measure in measures]
    return table(name, [*columns, words("code")], rows, words, caption=caption)


def _numbers(one: questions.Given) -> dict[str, float]:
    return {
        name: value
        for name, value in one.scores.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _answers(context: Context, here: Sequence[questions.Given], reference: str, made: Page) -> None:
    words = context.words
    answers = [one for one in here if one.kind == "answers"]
    texts = shown(context, [one.answer or "" for one in answers])
    for one, text in zip(answers, texts, strict=True):
        parts: list[object] = [heading_of(context, one)]
        if one.error_code and not one.answer:
            [detail] = shown(context, [words.detail(one.error_detail or "")])
            parts.append(said(f"{one.error_code}: {detail}", "bad"))
        else:
            parts.append(Markup('<div class="rb-text">{}</div>').format(text))
        if reference and text:
            parts.append(
                Markup(
                    "<details><summary>{}</summary><div class='rb-text'>{}</div></details>"
                ).format(words("diff"), word_diff(reference, text))
            )
        reasons = [
            r
            for scored in here
            if scored.generation_model == one.generation_model
            for r in _reasons(scored)
        ]
        said_reasons = shown(context, [text for _, _, text in reasons])
        parts += [
            paragraph(join([judge, " · ", name, ": ", reason]))
            for (judge, name, _), reason in zip(reasons, said_reasons, strict=True)
        ]
        made.add(Markup('<section class="rb-answer">{}</section>').format(join(parts)))
    if not any(True for one in here for _ in _reasons(one)):
        made.add(paragraph(words("no_reasoning")))


def heading_of(context: Context, one: questions.Given) -> Markup:
    """Return a model's name with its latency and flags."""
    words = context.words
    more = [model_name(one.generation_model, words)]
    latency = one.scores.get("latency_ms")
    if isinstance(latency, (int, float)):
        more.append(Markup(" <small>{}</small>").format(words("took_ms", n=f"{latency:.0f}")))
    more += [mark(flag) for flag in one.flags]
    return Markup("<h3>{}</h3>").format(join(more))


def _reasons(one: questions.Given) -> list[tuple[str, str, str]]:
    return [
        (one.benchmark_judge_model or "", name.removeprefix(_REASON), str(text))
        for name, text in sorted(one.scores.items())
        if name.startswith(_REASON) and text
    ]


def _contexts(
    context: Context, item: Item, here: Sequence[questions.Given], tier: str, made: Page
) -> None:
    """Add the chunks that the models answered from; those that the dataset names are marked."""
    words = context.words
    lists: dict[tuple[str, ...], list[str]] = {}
    for one in here:
        if one.kind == "answers":
            hashes = tuple(str(chunk.get("chunk_hash") or "") for chunk in one.retrieved)
            lists.setdefault(hashes, []).append(one.generation_model)
    relevant = set(item.chunk_hashes)
    wanted = [h for hashes in lists for h in hashes if h] + sorted(relevant)
    texts = questions.chunk_texts(context.engine, wanted)
    masked = dict(zip(texts, shown(context, [text for _, text in texts.values()]), strict=True))
    for hashes, models in lists.items():
        found = [h for h in hashes if h] or (sorted(relevant) if tier == "2" else [])
        if not found:
            continue
        blocks = []
        for n, chunk in enumerate(found, 1):
            url = texts.get(chunk, ("", ""))[0]
            is_relevant = chunk in relevant
            sign = mark(words("relevant")) if is_relevant else ""
            blocks.append(
                Markup('<div class="rb-text{}"><b>{}.</b> {}{}\n{}</div>').format(
                    " rb-relevant" if is_relevant else "",
                    n,
                    url,
                    sign,
                    masked.get(chunk, words("chunk_gone")),
                )
            )
        title = words("contexts_of", n=len(found), models=", ".join(models))
        made.add(Markup("<details><summary>{}</summary>{}</details>").format(title, join(blocks)))
        missed = relevant - set(found)
        if missed and tier != "2":
            made.add(paragraph(words("relevant_missed", n=len(missed), all=len(relevant))))
