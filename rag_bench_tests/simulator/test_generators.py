"""Simulated generators do what their table says, in both languages, and always the same."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from scipy.stats import binomtest

from rag_bench.llm.tasks.pipeline import Fragment, answer_question
from rag_bench.simulator.answer_key import AnswerKey, KeyEntry
from rag_bench.simulator.extractive import NOT_FOUND
from rag_bench.simulator.generators import NO_SUCH_FRAGMENT, drawn_quality, generate
from rag_bench.simulator.roster import GENERATORS
from rag_bench.simulator.sections import Sections
from rag_bench.simulator.text import contains, is_russian, numbers, overlap
from rag_bench.simulator.truth import Quality

generators = pytest.mark.parametrize("model", GENERATORS, ids=lambda model: model.name)


def as_stated(found: int, of: int, share: float, tests: int = 1) -> bool:
    """Whether a count is believable for a stated share, at 0.001 over all ``tests`` of a kind.

    Hashing makes it never flaky: what passes once passes always.
    """
    if share in (0.0, 1.0):
        return found == of * share
    return binomtest(found, of, share).pvalue > 0.001 / tests


def gold(entry: KeyEntry) -> Sections:
    return Sections(question=entry.question, fragments=((1, entry.chunk_texts[0]),))


def elsewhere(entries: list[KeyEntry], number: int) -> Sections:
    """The question with fragments of three other pages."""
    others = [entries[(number + 2 * step) % len(entries)].chunk_texts[0] for step in (7, 17, 27)]
    return Sections(question=entries[number].question, fragments=tuple(enumerate(others, start=1)))


@generators
@pytest.mark.parametrize("replicate", [0, 1, 1000])
def test_shares_are_as_stated(model, replicate, entries, key):
    counts = Counter(generate(model, gold(entry), key, replicate).quality for entry in entries)
    for quality, share in model.shares.items():
        assert as_stated(counts[quality], len(entries), share, tests=45), (quality, counts)


@generators
def test_draws_are_as_stated_to_a_third_of_a_point(model):
    counts = Counter(drawn_quality(model, f"Вопрос {number}?", 0) for number in range(40_000))
    for quality, share in model.shares.items():
        assert counts[quality] / 40_000 == pytest.approx(share, abs=0.0033 + share / 300)


@generators
def test_each_quality_is_what_it_says(model, entries, key):
    for entry in entries:
        asked = gold(entry)
        made = generate(model, asked, key, 0)
        right = contains(made.text, entry.reference_answer)
        invented = numbers(made.text) - numbers(asked.context)
        match made.quality:
            case Quality.correct:
                assert right
            case Quality.partial:
                assert not right
                assert 0.2 < overlap(entry.reference_answer, made.text) < 0.9
            case Quality.wrong:
                assert overlap(entry.reference_answer, made.text) < 0.35
                assert overlap(made.text, asked.context) == 1.0
            case Quality.hallucinated:
                assert invented
                assert is_russian(made.text) == is_russian(entry.question)
            case Quality.refused:
                assert made.text == NOT_FOUND
        assert not any(word in made.text for word in Quality)


@generators
def test_hallucinations_are_varied(model, entries, key):
    texts = [
        made.text
        for made in (generate(model, gold(entry), key, 0) for entry in entries)
        if made.quality is Quality.hallucinated
    ]
    assert len(set(texts)) > 0.95 * len(texts)
    assert len({text.split()[0] for text in texts}) >= 7


@generators
def test_without_the_answer_in_the_context_it_refuses_as_stated(model, entries, key):
    would_know, refused = 0, 0
    for number, entry in enumerate(entries):
        made = generate(model, elsewhere(entries, number), key, 0)
        assert made.quality not in (Quality.correct, Quality.partial)
        if drawn_quality(model, entry.question, 0) in (Quality.correct, Quality.partial):
            would_know += 1
            refused += made.quality is Quality.refused
    assert would_know > 1000
    assert as_stated(refused, would_know, model.refuses_when_absent)


@generators
def test_repeats_mostly_agree(model, entries, key):
    changed, redrawn_differs = 0, 1 - sum(share**2 for share in model.shares.values())
    for entry in entries:
        first, again = (drawn_quality(model, entry.question, replicate) for replicate in (0, 5))
        changed += first is not again
    assert as_stated(changed, len(entries), model.variation * redrawn_differs)


@generators
def test_citations_fail_as_stated(model, entries, key):
    cited, missing, invalid = 0, 0, 0
    for entry in entries:
        made = generate(model, gold(entry), key, 0)
        if made.quality is Quality.refused:
            assert "[" not in made.text
            continue
        cited += 1
        missing += not made.text.endswith("]")
        invalid += made.text.endswith(f"[{1 + NO_SUCH_FRAGMENT}]")
    assert as_stated(missing, cited, model.no_citation)
    assert as_stated(invalid, cited, model.invalid_citation)


def test_the_right_fragment_is_cited(entries, key):
    model = GENERATORS[0]
    for number in range(0, 200, 2):
        asked = elsewhere(entries, number)
        texts = [*asked.fragments, (4, entries[number].chunk_texts[0])]
        made = generate(model, Sections(question=asked.question, fragments=tuple(texts)), key, 0)
        if made.quality is Quality.correct:
            assert made.text.endswith(("[4]", "дежурным."))


def test_stronger_models_are_more_often_right(entries, key):
    right = [
        sum(generate(model, gold(entry), key, 0).quality is Quality.correct for entry in entries)
        for model in GENERATORS[:3]  # strong, medium, weak
    ]
    assert right == sorted(right, reverse=True)


def test_a_question_unknown_to_the_key_is_answered_from_the_context_without_a_label(entries):
    for entry in entries[:300]:
        made = generate(GENERATORS[0], gold(entry), AnswerKey(), 0)
        if made.quality is None:
            assert overlap(made.text, entry.chunk_texts[0]) == 1.0
        else:
            assert made.quality not in (Quality.correct, Quality.partial)


def test_without_context_nothing_breaks():
    for model in GENERATORS:
        for question in ("Где деканат?", "", "!!!", "Where is the gym?"):
            made = generate(model, Sections(question=question), AnswerKey(), 0)
            assert made.text


def test_a_short_reference_needs_a_fragment_about_the_question():
    entry = KeyEntry("В каком году умер Тесла?", "1943", ("Тесла умер 7 января 1943 года.",))
    key = AnswerKey([entry])
    right = Sections(question=entry.question, fragments=((1, entry.chunk_texts[0]),))
    wrong = Sections(question=entry.question, fragments=((1, "Завод построили в 1943 за Уралом."),))
    assert generate(GENERATORS[0], right, key, 0).quality is Quality.correct
    assert generate(GENERATORS[0], wrong, key, 0).quality is not Quality.correct


def test_one_question_with_two_answers_follows_the_context():
    texts = ("Клуб основан в 1927 году в Варшаве.", "Университет основан в 1816 году.")
    key = AnswerKey(
        [
            KeyEntry("Когда он был основан?", "1927", (texts[0],)),
            KeyEntry("Когда он был основан?", "1816", (texts[1],)),
        ]
    )
    for text, year in zip(texts, ("1927", "1816"), strict=True):
        found = key.find("когда он был  основан", [text])
        assert found is not None
        assert found.reference_answer == year


def test_case_and_punctuation_of_a_question_do_not_matter(entries, key):
    entry = entries[10]
    shouted = Sections(question=f" {entry.question.upper()} !", fragments=gold(entry).fragments)
    assert generate(GENERATORS[0], shouted, key, 0) == generate(GENERATORS[0], gold(entry), key, 0)


def test_through_the_prompt_and_the_pipeline(chat, entries):
    async def run(entry: KeyEntry):
        fragments = [Fragment("gold", "https://a", entry.chunk_texts[0])]
        return await answer_question(chat, "simulator/sim-strong", entry.question, fragments)

    for entry in entries[:200]:
        answer = asyncio.run(run(entry))
        quality = chat.simulator.truth.recall(entry.question, answer.text)
        assert quality is not None
        assert answer.refused == (quality is Quality.refused)
        if quality is Quality.correct:
            assert contains(answer.text, entry.reference_answer)
            assert "[" not in answer.text
