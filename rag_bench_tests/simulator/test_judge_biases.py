"""The stated biases of simulated judges are what a change of order, length or style does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from scipy.stats import binomtest

from rag_bench.errors import CaseError
from rag_bench.evaluation.text.answer_variants import first_half, padded, styled
from rag_bench.llm.tasks.judging import score
from rag_bench.llm.tasks.pairwise import prefer
from rag_bench.simulator.answer_key import AnswerKey, LabelledPair
from rag_bench.simulator.app import RefusedRequestError, Simulator
from rag_bench.simulator.models import Judge
from rag_bench.simulator.roster import JUDGES, Catalogue
from rag_bench.simulator.truth import Quality

N = 250
ORACLE = Judge("oracle", 1.0, 1.0, bias=0.0, noise=0.0, variation=0.0, unreadable=0.0)
UNBIASED = ("sim-judge-sharp", "sim-judge-noisy", "sim-judge-lenient")
by_name = {judge.name: judge for judge in JUDGES}
#: Those with a bias, and one without any.
SOME = sorted(
    judge.name
    for judge in JUDGES
    if judge.position_bias or judge.length_bias or judge.style_bias or "sharp" in judge.name
)


def as_stated(found: int, of: int, share: float) -> bool:
    if share in (0.0, 1.0):
        return found == of * share
    return binomtest(found, of, share).pvalue > 0.001


def judged(chat, judge: Judge, entry, answer: str) -> int:
    found = score(
        chat,
        judge.name,
        "faithfulness",
        question=entry.question,
        answer=answer,
        context=list(entry.chunk_texts),
    )
    return asyncio.run(found).score


def chosen(chat, judge: Judge, entry, first: str, second: str) -> str:
    made = prefer(
        chat,
        judge.name,
        question=entry.question,
        context=list(entry.chunk_texts),
        answer_a=first,
        answer_b=second,
    )
    return asyncio.run(made).winner


def with_only(chat_of, key, judge: Judge):
    """A judge that knows the truth, with the biases of this one, and a chat with it."""
    biased = replace(
        ORACLE,
        position_bias=judge.position_bias,
        length_bias=judge.length_bias,
        style_bias=judge.style_bias,
    )
    return biased, chat_of(Simulator(key, catalogue=Catalogue((biased,))))


def test_the_judges_that_others_rely_on_have_no_such_bias():
    for name in UNBIASED:
        judge = by_name[name]
        assert (judge.position_bias, judge.length_bias, judge.style_bias) == (0, 0, 0)
    for bias in ("position_bias", "length_bias", "style_bias"):
        assert any(getattr(judge, bias) for judge in JUDGES)


@pytest.mark.parametrize("name", SOME)
def test_length_and_style_move_a_score_as_often_as_stated(name, entries, key, in_process):
    judge, chat = with_only(in_process, key, by_name[name])
    for bias, dress in ((judge.length_bias, padded), (judge.style_bias, styled)):
        moved = 0
        for number, entry in enumerate(entries[:N]):
            # Worth 1 where the bias lifts, worth 5 where it lowers: there is room on that side.
            answer = entries[number + 1].reference_answer if bias >= 0 else entry.reference_answer
            plain = judged(chat, judge, entry, answer)
            step = judged(chat, judge, entry, dress(answer)) - plain
            assert step in (0, 1 if bias > 0 else -1)
            moved += step != 0
        assert as_stated(moved, N, abs(bias)), (name, dress.__name__)


@pytest.mark.parametrize("name", SOME)
def test_the_first_place_wins_as_often_as_stated(name, entries, key, in_process):
    judge, chat = with_only(in_process, key, by_name[name])
    by_place = 0
    for number, entry in enumerate(entries[:N]):
        good, bad = entry.reference_answer, entries[number + 2].reference_answer
        straight = chosen(chat, judge, entry, good, bad)
        swapped = chosen(chat, judge, entry, bad, good)
        if straight == swapped:
            assert straight == ("A" if judge.position_bias > 0 else "B")
            by_place += 1
        else:
            assert (straight, swapped) == ("A", "B")
    assert as_stated(by_place, N, abs(judge.position_bias))


def test_without_a_bias_the_better_answer_wins_with_the_mean_of_both_shares(chat, entries):
    judge = by_name["sim-judge-noisy"]
    right = readable = 0
    for number, entry in enumerate(entries[:N]):
        good, bad = entry.reference_answer, entries[number + 2].reference_answer
        try:
            straight = chosen(chat, judge, entry, good, bad)
            swapped = chosen(chat, judge, entry, bad, good)
        except CaseError:  # one in a hundred replies, as stated
            continue
        assert {straight, swapped} == {"A", "B"}
        readable += 1
        right += straight == "A"
    assert readable > 0.95 * N
    assert as_stated(right, readable, (judge.sensitivity + judge.specificity) / 2)


def test_equal_answers_tie_and_half_an_answer_loses(entries, key, in_process):
    _, chat = with_only(in_process, key, ORACLE)
    for entry in entries[:50]:
        whole = entry.reference_answer
        assert chosen(chat, ORACLE, entry, whole, f"{whole} [1]") == "tie"
        assert chosen(chat, ORACLE, entry, first_half(whole), whole) == "B"


def test_no_dress_hides_what_is_known_of_an_answer(entries, key, in_process):
    _, chat = with_only(in_process, key, ORACLE)
    entry, invented = entries[0], "Купите шлем за углом."
    # Known to its maker alone: by its words it would be an invention.
    chat.simulator.truth.remember(entry.question, invented, Quality.correct)
    for answer in (invented, padded(invented), styled(invented)):
        assert judged(chat, ORACLE, entry, answer) == 5
    other = "Купите коня за лесом."
    for answer in (other, padded(other), styled(other)):
        assert judged(chat, ORACLE, entry, answer) == 1


def test_peoples_labels_are_what_a_judge_errs_from(entries, in_process):
    pairs = [
        LabelledPair(entry.question, f"Ответ {n}.", n % 2 == 0, entry.chunk_texts[0])
        for n, entry in enumerate(entries[:N])
    ]
    chat = in_process(Simulator(AnswerKey((), pairs)))
    judge = by_name["sim-judge-noisy"]
    right = {True: 0, False: 0}
    read = {True: 0, False: 0}
    for pair, entry in zip(pairs, entries, strict=False):
        try:
            good = judged(chat, judge, entry, pair.answer) >= 4
        except CaseError:  # unreadable, as stated
            continue
        read[pair.show] += 1
        right[pair.show] += good == pair.show
    assert as_stated(right[True], read[True], judge.sensitivity)
    assert as_stated(right[False], read[False], judge.specificity)


def test_a_generator_cannot_compare(chat, entries):
    entry = entries[0]
    with pytest.raises(RefusedRequestError, match="cannot judge"):
        chosen(chat, replace(ORACLE, name="sim-strong"), entry, "А.", "Б.")
