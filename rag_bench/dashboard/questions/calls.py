"""The calls behind one question: who was asked what for, tokens, cost, latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page.parts import Page, heading, paragraph, said
from rag_bench.dashboard.page.tables import Cell, Col, number, number_cell, table, usd_cell
from rag_bench.dashboard.tabs.common import model_name
from rag_bench.store.evaluations import questions
from rag_bench.store.evaluations.case_calls import CallSums, CaseCall, calls_of_case

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words


def add_calls(
    context: Context,
    settings_hash: str,
    case_id: str,
    given: Sequence[questions.Given],
    made: Page,
) -> None:
    """Add the calls that everything on the page rests on; what was not recorded is said."""
    words = context.words
    shared = questions.shared_for(context.engine, settings_hash, case_id)
    parts: list[questions.Given | questions.Shared] = [*given, *shared]
    with context.engine.connect() as connection:
        calls = calls_of_case(connection, [one.evaluation_id for one in parts], case_id)
    made.add(heading(words("calls_behind"), anchor="rb-calls"))
    left = sum(not one.recorded for one in parts)
    if left:
        made.add(said(words("calls_not_recorded", n=left, all=len(parts)), "warn"))
    if not calls:
        if not left:
            made.add(paragraph(words("nobody_called")))
        return
    made.add(paragraph(_sums(CallSums.of(calls), words)), paragraph(words("calls_help")))
    made.add(_table(calls, {one.evaluation_id: one for one in parts}, words))


def _sums(sums: CallSums, words: Words) -> str:
    text = words(
        "calls_sums",
        n=sums.n_requests,
        sent=sums.n_sent,
        prompt=number(sums.prompt_tokens) or "–",
        completion=number(sums.completion_tokens) or "–",
    )
    if sums.cost_usd is not None:
        text += " " + words("calls_cost", usd=f"{sums.cost_usd:.6f}" if sums.cost_usd else "0")
    if sums.n_unpriced:
        text += " " + words("calls_unpriced", n=sums.n_unpriced)
    if sums.n_failed:
        text += " " + words("calls_failed", n=sums.n_failed)
    return text


def _table(
    calls: Sequence[CaseCall],
    parts: dict[int, questions.Given | questions.Shared],
    words: Words,
) -> Markup:
    rows: list[list[Any]] = []
    several = any(call.repeat for call in calls)
    for call in calls:
        part = parts[call.evaluation_id]
        answered = getattr(part, "generation_model", None)
        tier = words(f"call_for_{call.made_for}") if call.made_for in _TIERS else call.made_for
        outcome = words("call_gone") if call.gone else call.error_code or call.status or ""
        row: list[Any] = [
            Cell(model_name(answered, words), answered or ""),
            part.tier,
            Cell(tier, call.made_for),
            Cell(model_name(call.model and f"{call.provider}/{call.model}", words)),
            Cell(words(f"call_{call.how}"), call.how),
        ]
        row += [call.repeat] if several else []
        cost = None if call.cost_usd is None else float(call.cost_usd)
        row += [
            number_cell(call.prompt_tokens),
            number_cell(call.completion_tokens),
            usd_cell(cost, 6),
            number_cell(call.latency_ms, 0),
            number_cell(call.retries),
            Cell(outcome, outcome, tone="bad" if call.status == "error" else ""),
        ]
        rows.append(row)
    columns: list[Col | str] = [
        *(words("generation_model"), words("tier"), words("call_for")),
        *(words("call_asked"), words("call_how")),
    ]
    columns += [words("call_repeat")] if several else []
    columns += [
        Col(words(name), numeric=True)
        for name in ("call_prompt", "call_completion", "call_usd", "call_latency", "call_retries")
    ]
    columns.append(words("code"))
    return table("calls", columns, rows, words, caption=words("calls_caption"))


_TIERS = ("tier_2", "tier_3", "reranking")
