"""ROUGE, BLEU and chrF between an answer and its reference, right for Russian and beyond.

rouge-score's own tokenizer keeps [a-z0-9] only, so identical Russian texts score 0 and two
unlike ones that share a room number score 1. Here it gets words of any script. What is measured
in which script, and BLEU's words there, is declared in `text_scripts`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from rag_bench.evaluation.answer_metrics import AnswerCase, AnswerMetrics
from rag_bench.evaluation.metric_spec import UNIT, Need, Shown, entries
from rag_bench.evaluation.text.text_folding import visible, words
from rag_bench.evaluation.text.text_scripts import script_of
from rag_bench.evaluation.types import Scale

_NEEDS = (Need.in_scope, Need.reference)
_TIERS = ("2", "3")
_PERCENT: Scale = (0.0, 100.0)
METRICS = (
    *entries(
        ("rouge1_f", "rouge2_f"),
        _TIERS,
        "mean",
        UNIT,
        True,
        "F1 of clipped unigrams, bigrams (Lin 2004); null if the reference has none",
        source="rouge-score",
        needs=_NEEDS,
    ),
    *entries(
        ("rougeL_f",),
        _TIERS,
        "mean",
        UNIT,
        True,
        "F1 of the longest common subsequence of words, whole text",
        source="rouge-score",
        needs=_NEEDS,
        shown={"rougeL_f": Shown("3", "ROUGE-L", 60)},
    ),
    *entries(
        ("bleu",),
        _TIERS,
        "mean",
        _PERCENT,
        True,
        "BP · exp(Σ ¼ ln p_n), BP = min(1, exp(1 - r/c)), of the whole text; "
        r"`nrefs:1\|case:mixed\|eff:yes\|tok:13a\|smooth:exp`, `tok` by script",
        source="sacrebleu",
        needs=_NEEDS,
    ),
    *entries(
        ("chrf",),
        _TIERS,
        "mean",
        _PERCENT,
        True,
        "chrF2: F with β = 2 of character 1- to 6-grams. Of the two the fairer one for Russian, as "
        "it forgives endings",
        source="sacrebleu",
        needs=_NEEDS,
    ),
)
NAMES = tuple(metric.name for metric in METRICS)


class UnicodeTokenizer:
    """Words of any script for rouge-score, folded, without stemming.

    rouge-score's stemmer is English; a Russian one would make the measure incomparable between
    languages.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the words of ``text`` in order."""
        return words(text)


def text_overlap(answer: str, reference: str) -> dict[str, float | None]:
    """Return the overlap scores of one answer with its reference.

    ``rouge1_f``, ``rouge2_f``, ``rougeL_f``: F1 of unigrams, bigrams and the longest common
    subsequence of words (Lin 2004, by rouge-score), 0 to 1. ``bleu``: sacrebleu's sentence BLEU
    of the whole text, 0 to 100 (exponential smoothing, effective order, case kept; tokenizer by
    the reference's script: 13a, zh for Chinese, char for Japanese). ``chrf``: sacrebleu's chrF2,
    0 to 100.

    An n-gram measure is None where the reference has no such n-gram (a one-word reference has no
    ROUGE-2), and where the reference's script withholds it. Raises ValueError when either text is
    blank: an empty answer is a failed call and has a code upstream; it is not a bad answer with a
    score of 0.
    """
    if not answer.strip() or not reference.strip():
        raise ValueError("nothing to compare: the answer or the reference is blank")
    return _scores([(answer, reference)])[0]


def text_overlaps(
    answers: Sequence[str | None], references: Sequence[str | None]
) -> list[dict[str, float | None]]:
    """Return ``text_overlap`` of every pair; all None where either side is missing or blank.

    Raises ValueError for unequal lengths.
    """
    if len(answers) != len(references):
        raise ValueError(f"{len(answers)} answers but {len(references)} references")
    positions, pairs = [], []
    for position, (answer, reference) in enumerate(zip(answers, references, strict=True)):
        if answer and reference and answer.strip() and reference.strip():
            positions.append(position)
            pairs.append((answer, reference))
    results: list[dict[str, float | None]] = [dict.fromkeys(NAMES) for _ in answers]
    for position, scores in zip(positions, _scores(pairs), strict=True):
        results[position] = scores
    return results


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Have imports in the block find no such modules; for libraries that then do without.

    Modules that are loaded already are there again afterwards. Not while other threads import.
    """
    loaded = {name: sys.modules[name] for name in names if name in sys.modules}
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(loaded)


@cache
def _rouge_scorer_class() -> Any:
    """Import rouge-score's scorer, and keep the log handler that comes with it from our streams.

    It brings absl, whose handler takes the stderr of this moment, which may be one of a progress
    bar, and closes it when logging is configured anew, as Dagster does at every run. The
    process's own stderr it leaves open. And it brings nltk, which looks for classifiers and tests
    of significance that nothing here asks for, and takes most of a second to load them.
    """
    from absl import logging as absl_logging

    with _without("sklearn", "scipy.stats"):
        from rouge_score.rouge_scorer import RougeScorer

    absl_logging.get_absl_handler().python_handler.setStream(sys.__stderr__)
    return RougeScorer


def _scores(pairs: Sequence[tuple[str, str]]) -> list[dict[str, float | None]]:
    if not pairs:
        return []
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    tokenizer = UnicodeTokenizer()
    rouge = _rouge_scorer_class()(["rouge1", "rouge2", "rougeL"], tokenizer=tokenizer)
    # Effective order: a text of three words has no 4-gram, and would score 0 against itself.
    bleus: dict[str, Any] = {}
    chrf = CHRF()
    results: list[dict[str, float | None]] = []
    for answer, reference in pairs:
        overlap = rouge.score(reference, answer)
        n_words = len(tokenizer.tokenize(reference))
        # sacrebleu does not know that a letter and its composed form are one.
        hypothesis, target = visible(answer), visible(reference)
        script = script_of(reference)
        name = script.bleu_tokenizer
        if name and name not in bleus:
            bleus[name] = BLEU(effective_order=True, tokenize=name)
        scores = {
            "rouge1_f": overlap["rouge1"].fmeasure if n_words else None,
            "rouge2_f": overlap["rouge2"].fmeasure if n_words > 1 else None,
            "rougeL_f": overlap["rougeL"].fmeasure if n_words else None,
            # Rounding gives 100.00000000000004 for identical texts.
            "bleu": min(bleus[name].sentence_score(hypothesis, [target]).score, 100.0)
            if name
            else None,
            "chrf": min(chrf.sentence_score(hypothesis, [target]).score, 100.0),
        }
        results.append(scores | dict.fromkeys(script.withheld))
    return results


def _of_cases(cases: Sequence[AnswerCase]) -> list[dict[str, float | None]]:
    return text_overlaps([case.answer for case in cases], [case.reference for case in cases])


OF_ANSWERS = (
    AnswerMetrics(
        METRICS,
        _of_cases,
        withheld=lambda reference: script_of(reference).withheld,
        version=None,
        reads_vectors=False,
    ),
)
