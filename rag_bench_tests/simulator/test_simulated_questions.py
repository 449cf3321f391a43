"""Offline writers of questions make faults in the stated shares, and critics see them as stated."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rag_bench.errors import CaseError
from rag_bench.questions.critics import Critic, criticise, critics_for
from rag_bench.questions.writer import QuestionType, Source, write_question
from rag_bench.simulator import question_types
from rag_bench.simulator.roster import JUDGES

N = 600


def written(chat: Any, entries: Any, kind: QuestionType) -> list[tuple[Any, list[str]]]:
    """Questions with the chunks that a critic is shown, as far as the rules take them."""
    made = []
    for number, entry in enumerate(entries[:N]):
        text = entry.chunk_texts[0]
        other = entries[number + 2].chunk_texts[0]  # of the same language
        second = Source(other, "Справки") if kind is QuestionType.two_chunk else None
        try:
            found = asyncio.run(
                write_question(
                    chat, "extractive", text, "Справки", question_type=kind, second=second
                )
            )
        except CaseError:
            continue
        made.append((found, [text, other] if second else [text]))
    return made


def rejected(chat: Any, model: str, kind: QuestionType, made: Any) -> dict[Critic, float]:
    """The share that each critic rejects."""
    shares = {}
    for critic in critics_for(kind):
        opinions = [
            asyncio.run(
                criticise(
                    chat,
                    model,
                    critic,
                    kind,
                    question=found.question,
                    reference_answer=found.reference_answer,
                    chunks=chunks,
                )
            )
            for found, chunks in made
        ]
        shares[critic] = sum(not one.accepted for one in opinions) / len(opinions)
    return shares


@pytest.mark.parametrize("kind", list(QuestionType))
def test_a_critic_without_errors_finds_the_stated_shares(kind, chat, entries):
    made = written(chat, entries, kind)
    assert len(made) >= 0.9 * N, "the rules take what is written"
    shares = rejected(chat, "extractive", kind, made)
    # Three standard errors of a share of 5 % among 540 are 0.028, of 15 % 0.046.
    if kind is QuestionType.out_of_scope:
        assert shares[Critic.answerability] == pytest.approx(question_types.ANSWERED, abs=0.05)
    elif kind is QuestionType.two_chunk:
        assert shares[Critic.answerability] == pytest.approx(question_types.ONE_SIDED, abs=0.05)
    else:
        assert shares[Critic.groundedness] == pytest.approx(question_types.UNGROUNDED, abs=0.03)
        assert shares[Critic.self_containedness] == pytest.approx(question_types.VAGUE, abs=0.03)
        assert shares[Critic.answerability] <= question_types.VAGUE + 0.05


def test_a_critic_errs_as_the_judge_of_its_name(chat, entries):
    kind = QuestionType.out_of_scope
    made = written(chat, entries, kind)
    blind = next(model for model in JUDGES if model.name == "sim-judge-blind")
    share = rejected(chat, blind.name, kind, made)[Critic.answerability]
    answered = rejected(chat, "extractive", kind, made)[Critic.answerability]
    expected = answered * blind.sensitivity + (1 - answered) * (1 - blind.specificity)
    assert share == pytest.approx(expected, abs=0.07)


def test_further_questions_about_a_chunk_are_others_and_all_is_repeatable(chat, entries):
    text = entries[0].chunk_texts[0]

    def ask(*known: str) -> tuple[str, str]:
        return asyncio.run(write_question(chat, "extractive", text, "Справки", known=known))

    first = ask()
    second = ask(first[0])
    assert second[0] != first[0]
    assert (ask(), ask(first[0])) == (first, second)


def test_the_shares_are_documented():
    from rag_bench.settings import PROJECT_ROOT

    text = (PROJECT_ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    for name in ("UNGROUNDED", "VAGUE", "ONE_SIDED", "ANSWERED"):
        share = getattr(question_types, name)
        assert f"`{name}` | {share * 100:g} % |" in text, name
