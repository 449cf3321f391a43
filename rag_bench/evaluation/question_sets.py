"""What a set of questions is like: near-duplicates, words shared with the chunk, round trip.

Pure: texts, vectors and ranks in, numbers out.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.text.text_folding import words, words_alone
from rag_bench.evaluation.types import Metric

if TYPE_CHECKING:
    import numpy as np

ROUND_TRIP_CUTOFFS = (1, 10)
_LEAST_LETTERS = 4  # of a content word; shorter ones are mostly prepositions and pronouns


def near_duplicates(
    questions: Sequence[str], vectors: np.ndarray, threshold: float
) -> dict[int, int]:
    """Return ``{place of a duplicate: place of the question it repeats}``.

    A question repeats an earlier *kept* one if their words are equal or the cosine of
    their vectors, to six decimals, is at least ``threshold``. The first of each kind is kept, in
    the order given; of several that are near enough, the nearest is named. A question without a
    single word has no text to compare.

    Args:
        questions: n texts.
        vectors: float, shape (n, d), of unit length.
        threshold: cosine, above 0 and at most 1.

    Raises:
        ValueError: the shapes do not fit, or the threshold is no such cosine.
    """
    import numpy as np

    if len(vectors) != len(questions):
        raise ValueError(f"{len(questions)} questions but {len(vectors)} vectors")
    if not 0 < threshold <= 1:
        raise ValueError(f"a threshold lies above 0 and at most at 1, not {threshold}")
    repeats: dict[int, int] = {}
    kept: list[int] = []
    kept_vectors = np.empty_like(vectors)
    by_text: dict[str, int] = {}
    for place, question in enumerate(questions):
        text = words_alone(question)
        if text and text in by_text:
            repeats[place] = by_text[text]
            continue
        if kept:
            cosines = settled(kept_vectors[: len(kept)] @ vectors[place])
            nearest = int(np.argmax(cosines))
            if cosines[nearest] >= threshold:
                repeats[place] = kept[nearest]
                continue
        kept_vectors[len(kept)] = vectors[place]
        kept.append(place)
        by_text[text] = place
    return repeats


def lexical_overlap(question: str, chunk: str) -> float | None:
    """Return the share of the question's content words whose beginning stands in the chunk.

    What a search by words alone could live on: near 1 the question was copied, and retrieval is
    easier than with the words of people. Words of four letters and more, and numbers; compared by
    their beginnings, as Russian inflects their ends. None for a question without such words.
    """
    asked = {_beginning(word) for word in _content(question)}
    known = {_beginning(word) for word in words(chunk)}
    return len(asked & known) / len(asked) if asked else None


def round_trip_metrics(
    found: Sequence[Sequence[str]],
    own: Sequence[Collection[str]],
    clusters: Sequence[Hashable],
) -> dict[str, Metric]:
    """Return the share of questions for which retrieval finds the chunk they were made from.

    ``hit@k``: one of the question's own chunks is among the first k found; ``all@10``: all of
    them are, which differs for questions about two chunks. Wilson's interval, at the effective
    number of questions, as those of one page are not independent.

    Args:
        found: chunk ids per question, best first, ten of them where there are so many.
        own: the chunks that each question was made from; never empty.
        clusters: page of each question.

    Raises:
        ValueError: a question without chunks of its own, or unequal lengths.
    """
    if any(not chunks for chunks in own):
        raise ValueError("a question without chunks of its own has no round trip")
    pairs = list(zip(found, own, strict=True))
    metrics = {
        f"hit@{k}": rate_metric([bool(set(r[:k]) & set(o)) for r, o in pairs], clusters=clusters)
        for k in ROUND_TRIP_CUTOFFS
    }
    last = ROUND_TRIP_CUTOFFS[-1]
    whole = [set(o) <= set(r[:last]) for r, o in pairs]
    return metrics | {f"all@{last}": rate_metric(whole, clusters=clusters)}


def overlap_metric(
    questions: Sequence[str], chunks: Sequence[str], clusters: Sequence[Hashable]
) -> Metric:
    """Return the mean `lexical_overlap` of questions with their chunks, bootstrapped by page."""
    shares = [lexical_overlap(q, c) for q, c in zip(questions, chunks, strict=True)]
    return mean_metric(shares, clusters, scale=(0.0, 1.0))


def self_preference(
    source: Mapping[str, Any], judge_models: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Return the judges that had a hand in the questions that they score, and which.

    A model prefers what it wrote itself (Panickssery et al. 2024, "LLM Evaluators Recognize and
    Favor Their Own Generations"), so a score by such a judge is worth less. Models are the same
    where the last part of their keys is: another provider's copy is no other model.

    Args:
        source: a dataset's record, with ``writer`` and ``critic`` (a key or a list of them); one
            without has no such judge.
        judge_models: keys ``<provider>/<model>``.

    Returns:
        ``{judge: ("wrote", "criticised")}`` or a part of that, in the order given.
    """
    parts = {"wrote": _names(source.get("writer")), "criticised": _names(source.get("critic"))}
    found: dict[str, tuple[str, ...]] = {}
    for judge in dict.fromkeys(judge_models):
        did = tuple(
            name for name, models in parts.items() if any(same_model(m, judge) for m in models)
        )
        if did:
            found[judge] = did
    return found


def _names(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def same_model(one: str, other: str) -> bool:
    """Tell whether two model keys name one model, by whichever provider."""
    return one.rpartition("/")[2].casefold() == other.rpartition("/")[2].casefold()


def _content(text: str) -> list[str]:
    return [word for word in words(text) if len(word) >= _LEAST_LETTERS or word.isdigit()]


def _beginning(word: str) -> str:
    return word if word.isdigit() else word[: max(_LEAST_LETTERS, len(word) - 3)]
