"""Simulated judges: they know, or estimate, what an answer is worth, and err as stated."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from rag_bench.evaluation.text.answer_variants import without_padding
from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.simulator.estimates import estimate, is_good_answer
from rag_bench.simulator.models import Gate, Judge
from rag_bench.simulator.sections import Sections
from rag_bench.simulator.text import chance, is_russian, normal, pick, stable_chance
from rag_bench.simulator.truth import WORTH, Quality

GOOD = (4, 5)
BAD = (1, 3)
#: Scores of a judge that takes a good answer for a bad one, and the reverse.
GOOD_TAKEN_FOR_BAD = 2
BAD_TAKEN_FOR_GOOD = 4

#: The schema of a comparison of two answers.
PAIRWISE = "pairwise_preference"

_MARKDOWN = re.compile(r"^(?:#{1,6}|[-*]) |\*\*[^*\n]+\*\*", re.MULTILINE)
_UNREADABLE_SCORES = (
    "Оценка по 5-балльной шкале: 2",
    "По шкале от 1 до 5 это 4",
    '{"score": "высокая"}',
    '{"score": 4.5}',
    '{"score": 7}',
    '{"score": ',
    "Я не могу оценить этот ответ.",
    "",
)
_UNREADABLE_WINNERS = (
    '{"winner": "первый"}',
    '{"winner": "C"}',
    "Лучше ответ A.",
    '{"better": "B"}',
    "",
)
_UNREADABLE_VERDICTS = ("Да", "Yes, but the answer is incomplete", "Нет, ответ не по теме", "")
#: Of a rubric that has none of its own.
_ANY_REASONING = {
    True: ("Ответ соответствует критерию.", "Замечаний по критерию нет."),
    False: ("Ответ не соответствует критерию.", "По критерию есть замечания."),
}
_REASONING = {
    True: {
        "faithfulness": ("Утверждения ответа подтверждаются фрагментами.", "Найдены все факты."),
        "answer_relevance": ("Ответ прямо отвечает на вопрос.", "Ответ по существу вопроса."),
        "answer_correctness": ("Ответ совпадает с эталоном по смыслу.", "Расхождений нет."),
        "e2e_quality": ("Ответ решает задачу пользователя.", "Всё нужное сказано."),
    },
    False: {
        "faithfulness": ("Часть утверждений не подтверждается.", "В фрагментах этого нет."),
        "answer_relevance": ("Ответ не о том, что спросили.", "На вопрос отвечено не вполне."),
        "answer_correctness": ("Ответ расходится с эталоном.", "Существенное упущено."),
        "e2e_quality": ("Задача пользователя не решена.", "Придётся переспрашивать."),
    },
}
_REASONS_TO_HIDE = {
    True: (
        "ответ не по существу вопроса",
        "утверждения ответа не подтверждаются фрагментами",
        "ответ не помогает пользователю",
    ),
    False: (
        "the answer misses the question",
        "the answer is not supported by the fragments",
        "the answer does not help the user",
    ),
}


def judge_reply(
    model: Judge,
    rubric: str,
    asked: Sections,
    quality: Quality | None,
    key: AnswerKey,
    replicate: int,
    *,
    with_reasoning: bool,
) -> str:
    """Return the JSON of a judge's reply, or now and then something unreadable, as stated.

    What an answer is worth is told by its generator, else by people's label, else estimated; its
    perturbation (padding, Markdown) hides none of that and changes no draw, so that whatever it
    does to the score is the model's stated bias.
    """
    perturbed, asked = asked.answer, unperturbed(asked)
    seed = (model.name, rubric, normal(asked.question), normal(asked.answer))
    padding = () if normal(perturbed) == seed[-1] else (normal(perturbed),)
    if chance("unreadable", replicate, *seed, *padding) < model.unreadable:
        return pick(_UNREADABLE_SCORES, "which", replicate, *seed)
    score = judged_score(model, _worth(rubric, asked, quality, key), replicate, *seed)
    score = _moved_by_perturbation(model, score, perturbed, *seed)
    reply: dict[str, object] = {}
    if with_reasoning:
        good = score >= GOOD[0]
        words = _REASONING[good].get(rubric, _ANY_REASONING[good])
        reply["reasoning"] = pick(words, "reasoning", *seed)
    reply["score"] = score
    return json.dumps(reply, ensure_ascii=False)


def unperturbed(asked: Sections) -> Sections:
    """Return the request with the plain answer in place of a padded one.

    Markdown needs nothing done: everything here reads words.
    """
    plain = without_padding(asked.answer)
    return asked if plain is None else replace(asked, answer=plain)


def pairwise_reply(
    model: Judge,
    sides: Sequence[Sections],
    qualities: Sequence[Quality | None],
    key: AnswerKey,
    replicate: int,
    *,
    with_reasoning: bool,
) -> str:
    """Return the JSON of a judge's choice between two answers, or something unreadable.

    ``sides``: the request with the first and the second answer. The draws know the pair, not its
    order, so that only the stated position bias can make the order matter.
    """
    answers = [normal(side.answer) for side in sides]
    seed = (model.name, PAIRWISE, normal(sides[0].question), *sorted(answers))
    if chance("unreadable", replicate, answers[0], *seed) < model.unreadable:
        return pick(_UNREADABLE_WINNERS, "which", replicate, answers[0], *seed)
    first, second = (
        _worth("e2e_quality", side, quality, key)
        for side, quality in zip(sides, qualities, strict=True)
    )
    if chance("position", *seed) < abs(model.position_bias):
        winner = "A" if model.position_bias > 0 else "B"
    elif first == second:
        winner = "tie"
    else:
        right = chance("preference", *seed) < (model.sensitivity + model.specificity) / 2
        winner = "A" if (first > second) is right else "B"
    reply = {"reasoning": f"Ответ лучше: {winner}."} if with_reasoning else {}
    return json.dumps({**reply, "winner": winner}, ensure_ascii=False)


def _worth(rubric: str, asked: Sections, quality: Quality | None, key: AnswerKey) -> int:
    if quality:
        return WORTH[rubric][quality]
    label = key.label(asked.question, asked.answer, asked.context)
    if label is not None:
        return 5 if label else 1
    return estimate(rubric, asked, key)


def _moved_by_perturbation(model: Judge, score: int, answer: str, *seed: object) -> int:
    if without_padding(answer) is not None and chance("length", *seed) < abs(model.length_bias):
        score += 1 if model.length_bias > 0 else -1
    if _MARKDOWN.search(answer) and chance("style", *seed) < abs(model.style_bias):
        score += 1 if model.style_bias > 0 else -1
    return min(max(score, BAD[0]), GOOD[1])


def judged_score(model: Judge, worth: int, replicate: int, *seed: object) -> int:
    """Return the score (1 to 5) that ``model`` gives to an answer worth ``worth``."""
    draw = stable_chance(model.variation, replicate, "perceived", *seed)
    if worth >= GOOD[0]:
        seen_good = draw < model.sensitivity
        score, bounds = (worth, GOOD) if seen_good else (GOOD_TAKEN_FOR_BAD, BAD)
    elif worth < BAD[1]:
        seen_bad = draw < model.specificity
        score, bounds = (worth, BAD) if seen_bad else (BAD_TAKEN_FOR_GOOD, GOOD)
    else:
        score, bounds = worth, (BAD[0], GOOD[1])
    noise = chance("noise", replicate, *seed)
    if noise < model.noise:
        score += 1 if noise < model.noise / 2 else -1
    if chance("bias", *seed) < abs(model.bias):
        score += 1 if model.bias > 0 else -1
    return min(max(score, bounds[0]), bounds[1])


def gate_reply(
    model: Gate, asked: Sections, quality: Quality | None, key: AnswerKey, replicate: int
) -> str:
    """Return ``Yes`` or ``No: reason``, or now and then something unreadable, as stated.

    People's label decides what is right; without one the answer's known quality; without that an
    estimate from shared words.
    """
    seed = (model.name, normal(asked.question), normal(asked.answer), normal(asked.context))
    if chance("unreadable", replicate, *seed) < model.unreadable:
        return pick(_UNREADABLE_VERDICTS, "which", replicate, *seed)
    good = key.label(asked.question, asked.answer, asked.context)
    if good is None and quality is not None:
        good = quality in (Quality.correct, Quality.partial)
    if good is None:
        good = is_good_answer(asked, key)
    draw = chance("verdict", *seed)
    show = draw < model.sensitivity if good else draw >= model.specificity
    if show:
        return "Yes"
    return f"No: {pick(_REASONS_TO_HIDE[is_russian(asked.question)], 'reason', *seed)}"
