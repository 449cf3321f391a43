"""How users write: answered and rated shares, words, slang, months."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.analytics.text import content_words
from rag_bench.analytics.traffic import Asked
from rag_bench.evaluation.statistics import mean_metric, quantile_metric, rate_metric
from rag_bench.evaluation.text.text_folding import compounds
from rag_bench.evaluation.traffic.ratings import FIVE, RatingScale
from rag_bench.evaluation.types import Metric
from rag_bench.privacy.public_names import NOBODY, PublicNames

TOP_ALL, TOP_PART, TOP_TYPICAL = 50, 30, 20
UNKNOWN_MONTH = "unknown"
_MOST_MONTHS = 120
# Strength of the prior of ``typical_words``, in words; and the least z worth showing.
_PRIOR_WORDS = 500.0
_LEAST_Z = 1.96

_HARD = "(?:а|ы|е|у|ой|ою|ам|ами|ах)"  # not и: «пари» is a bet
_SOFT = "(?:а|и|е|у|ой|ою|ей|ею|ам|ами|ах)"
_MASCULINE = "(?:а|у|ом|е|ы|и|ов|ам|ами|ах)"
# Whole words with their endings. «препод» is slang, «преподаватель» is not; «пара» is not in
# «аппарат». ё is written as е.
SLANG: Mapping[str, re.Pattern[str]] = {
    word: re.compile(pattern)
    for word, pattern in {
        "пара": f"пар{_HARD}?",
        "сессия": "сесси(?:я|и|ю|ей|ею|й|ям|ями|ях)",
        "допса": f"допс{_HARD}?",
        "препод": f"преп(?:од)?{_MASCULINE}?",
        "стипуха": f"стипух{_SOFT}?",
        "пересдача": f"пересдач{_SOFT}?",
        "хвост": f"хвост{_MASCULINE}?",
        "общага": f"общаг{_SOFT}?",
        "стипа": f"стип{_HARD}?",
        "зачётка": f"зачетк{_SOFT}|зачеток",
        "академ": f"академ{_MASCULINE}?",
        "студак": f"студак{_MASCULINE}?",
        "универ": f"универ{_MASCULINE}?",
    }.items()
}


@dataclass(frozen=True)
class Domain:
    """What a set of questions looks like: the seeds' fields, and metrics with intervals."""

    result: dict[str, Any]
    metrics: dict[str, Metric]


def domain(
    questions: Sequence[Asked], scale: RatingScale = FIVE, public_names: PublicNames = NOBODY
) -> Domain:
    """Describe questions of users; ``scale`` is that of their ratings.

    A word is counted as often as it occurs, a slang word once per question that holds it. No
    personal data is counted as words; ``public_names`` are.

    Raises:
        ValueError: no questions.
    """
    if not questions:
        raise ValueError("there are no questions")
    answered = [question.answered for question in questions]
    clusters = [question.cluster for question in questions]
    rated = [question for question in questions if question.score is not None]
    lengths = [float(len(question.text.strip())) for question in questions]
    of_each = content_words([question.text for question in questions], public_names)
    every = Counter(word for found in of_each for word in found)
    with_answer = Counter(
        word for found, yes in zip(of_each, answered, strict=True) if yes for word in found
    )
    without = every - with_answer
    distribution = Counter(question.score for question in rated)
    metrics = {
        "with_answers_rate": rate_metric(answered, clusters=clusters),
        "satisfied_rate": rate_metric(
            [scale.satisfied(question.score) for question in rated],
            clusters=[question.cluster for question in rated],
        ),
        "scored_rate": rate_metric([q.score is not None for q in questions], clusters=clusters),
        "avg_question_length": mean_metric(lengths, clusters),
        "median_question_length": quantile_metric(lengths, 0.5, clusters=clusters),
        "total_questions": Metric(len(questions), len(questions), len(questions)),
    }
    refused = sum(
        bool(q.answer and q.answer.strip()) and not a
        for q, a in zip(questions, answered, strict=True)
    )
    result = {
        "total_questions": len(questions),
        "distinct_questions": len({" ".join(compounds(question.text)) for question in questions}),
        "users": len({q.user_id for q in questions if q.user_id is not None}),
        "with_answers": sum(answered),
        "without_answers": len(questions) - sum(answered),
        # Of those without an answer: production wrote that it found none.
        "refusal_texts": refused,
        "with_answers_rate": metrics["with_answers_rate"].value,
        "scored_questions": len(rated),
        "score_distribution": {str(s): distribution[s] for s in sorted(distribution, key=_number)},
        "rating_scale": scale.name,
        "rating_note": scale.note,
        "satisfied_questions": sum(bool(scale.satisfied(q.score)) for q in rated)
        if scale.known
        else None,
        "score_5_questions": distribution[5],
        "score_1_questions": distribution[1],
        "avg_question_length": metrics["avg_question_length"].value,
        "top_tokens_all": most_common(every, TOP_ALL),
        "top_tokens_with_answers": most_common(with_answer, TOP_PART),
        "top_tokens_without_answers": most_common(without, TOP_PART),
        "typical_tokens_without_answers": typical_words(without, with_answer),
        "typical_tokens_with_answers": typical_words(with_answer, without),
        "slang_indicator_counts": slang_counts(question.text for question in questions),
        "questions_per_month": months(questions),
    }
    return Domain(result, metrics)


def most_common(counts: Counter[str], n: int) -> list[list[Any]]:
    """Return the ``n`` commonest words as [word, count]; equal counts by alphabet."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [[word, count] for word, count in ordered[:n]]


def slang_counts(texts: Iterable[str]) -> dict[str, int]:
    """Return in how many texts each slang word stands, as a whole word in any of its forms."""
    counts = dict.fromkeys(SLANG, 0)
    for text in texts:
        # Parts of hyphenated words count on their own: «сессия-пересдача».
        found = {part for word in compounds(text) for part in word.split("-")}
        for slang, pattern in SLANG.items():
            counts[slang] += any(pattern.fullmatch(word) for word in found)
    return counts


def typical_words(here: Counter[str], there: Counter[str], n: int = TOP_TYPICAL) -> list[list[Any]]:
    """Return [word, count here, z] of words that are commoner here than there, most so first.

    z is of the log-odds ratio with an informative Dirichlet prior, the words of both together
    (Monroe, Colaresi and Quinn 2008, "Fightin' Words", section 3.5.1); plain counts are led by the
    words that are common everywhere.
    """
    n_here, n_there = here.total(), there.total()
    both = here + there
    if not n_here or not n_there:
        return []
    scored = []
    for word, count in here.items():
        prior = _PRIOR_WORDS * both[word] / both.total()
        a, b = count + prior, there[word] + prior
        log_odds = math.log(a / (n_here + _PRIOR_WORDS - a))
        log_odds -= math.log(b / (n_there + _PRIOR_WORDS - b))
        z = log_odds / math.sqrt(1 / a + 1 / b)
        if z >= _LEAST_Z:
            scored.append((-z, word, count))
    return [[word, count, round(-z, 2)] for z, word, count in sorted(scored)[:n]]


def months(questions: Sequence[Asked]) -> dict[str, int]:
    """Return questions by month (YYYY-MM, UTC), in order; those without a time come last."""
    counts = Counter(question.month or UNKNOWN_MONTH for question in questions)
    known = {month: counts[month] for month in sorted(counts) if month != UNKNOWN_MONTH}
    return known | ({UNKNOWN_MONTH: counts[UNKNOWN_MONTH]} if counts[UNKNOWN_MONTH] else {})


def every_month(counts: Mapping[str, int]) -> dict[str, int]:
    """Return ``months`` with those between them that have no question, so that a gap is seen.

    Over more than ten years, which a wrong clock makes, nothing is filled in.
    """
    known = [month for month in counts if month != UNKNOWN_MONTH]
    if not known:
        return dict(counts)
    first, last = (int(month[:4]) * 12 + int(month[5:7]) - 1 for month in (min(known), max(known)))
    if last - first >= _MOST_MONTHS:
        return dict(counts)
    between = [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(first, last + 1)]
    rest = {month: n for month, n in counts.items() if month == UNKNOWN_MONTH}
    return {month: counts.get(month, 0) for month in between} | rest


def _number(score: float | None) -> float:
    return score or 0
