"""Whether questions cover what there is, give their answers away, and tell models apart."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.evaluation.question_sets import lexical_overlap
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.text.text_folding import words
from rag_bench.evaluation.text.text_scripts import SPACED, russian_or_english, script_of
from rag_bench.evaluation.types import Metric

#: A question is copied from its chunk if so many of its words stand there in a row …
COPIED_WORDS = 6
#: … or if they are at least so large a part of it.
COPIED_SHARE = 0.8
#: From this score of a rubric on an answer is right.
RIGHT_FROM = 4.0
#: A set that the best model answers so well has no room left to tell a better one.
CEILING = 0.95


@dataclass(frozen=True)
class Leak:
    """How much of a question's wording is its chunk's.

    Attributes:
        overlap: share of its content words that stand in the chunk (`lexical_overlap`).
        run: the most words in a row that stand so in the chunk.
        copied: whether that makes it a copy.
    """

    overlap: float | None
    run: int
    n_words: int

    @property
    def copied(self) -> bool:
        """Whether a search by words alone finds the chunk, as the question is its text."""
        if not self.n_words:
            return False
        share = self.run / self.n_words
        return self.run >= COPIED_WORDS or (self.run > 2 and share >= COPIED_SHARE)


def leak_of(question: str, chunk: str) -> Leak | None:
    """Return how much of a question is its chunk's wording; None where words cannot be told apart
    (scripts without spaces).
    """
    if script_of(question) is not SPACED or script_of(chunk) is not SPACED:
        return None
    asked, text = words(question), words(chunk)
    return Leak(lexical_overlap(question, chunk), _longest_run(asked, text), len(asked))


def _longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest run of words that both have (longest common substring)."""
    best = 0
    before = [0] * (len(other) + 1)
    for word in one:
        now = [0] * (len(other) + 1)
        for place, known in enumerate(other, start=1):
            if word == known:
                now[place] = before[place - 1] + 1
                best = max(best, now[place])
        before = now
    return best


@dataclass(frozen=True)
class Asked:
    """A question with the texts of the chunks that answer it, as far as they are known.

    ``cluster``: its page, which it shares with questions that are not independent of it.
    """

    item_id: str
    question: str
    chunks: Sequence[str]
    cluster: Hashable


def leakage(items: Sequence[Asked]) -> dict[str, Any]:
    """Return, by language, the mean overlap and the share of copied questions, and which these are.

    Questions without a known chunk are not counted; those of scripts without spaces are withheld.
    """
    by_language: dict[str, list[tuple[Asked, Leak]]] = {}
    withheld = 0
    for item in items:
        if not item.chunks:
            continue
        leak = leak_of(item.question, "\n".join(item.chunks))
        if leak is None:
            withheld += 1
        else:
            language = russian_or_english(item.question)
            by_language.setdefault(language, []).append((item, leak))
    found: dict[str, Any] = {"withheld": withheld, "by_language": {}, "copied": []}
    for name, pairs in sorted(by_language.items()):
        clusters = [item.cluster for item, _ in pairs]
        overlap = mean_metric([leak.overlap for _, leak in pairs], clusters, scale=(0.0, 1.0))
        copied = rate_metric([leak.copied for _, leak in pairs], clusters=clusters)
        found["by_language"][name] = {
            "lexical_overlap": overlap.to_json(),
            "copied_rate": copied.to_json(),
        }
        found["copied"] += [
            {"id": item.item_id, "question": item.question, "words_in_a_row": leak.run}
            for item, leak in pairs
            if leak.copied
        ]
    return found


@dataclass(frozen=True)
class Discrimination:
    """What the questions of a set tell of the models that answered them.

    Attributes:
        all_right, all_wrong: items that every model got right, or none.
        telling: items that some models got right and others did not.
        unmeasured: items that fewer than two models have a score of.
        best: share of right answers of the best model; ``ceiling``: of the best model of each item,
            which no model of these can pass.
    """

    all_right: Sequence[str]
    all_wrong: Sequence[str]
    telling: Sequence[str]
    unmeasured: Sequence[str]
    best_model: str | None
    best: Metric
    ceiling: Metric
    n_models: int

    @property
    def exhausted(self) -> bool:
        """Whether the best model leaves no room for a better one."""
        return self.best.value is not None and self.best.value >= CEILING

    def as_json(self) -> dict[str, Any]:
        """Return it for the record."""
        return {
            **vars(self),
            "all_right": list(self.all_right),
            "all_wrong": list(self.all_wrong),
            "telling": list(self.telling),
            "unmeasured": list(self.unmeasured),
            "best": self.best.to_json(),
            "ceiling": self.ceiling.to_json(),
            "exhausted": self.exhausted,
        }


def discrimination(
    items: Sequence[tuple[str, Hashable]],
    scores: Mapping[str, Mapping[str, float]],
    *,
    right_from: float = RIGHT_FROM,
) -> Discrimination:
    """Return which items tell models apart.

    Args:
        items: id and page of each.
        scores: by model, then by item: what the answer got (of several judges, their mean).
        right_from: the least score of a right answer.
    """
    right = {
        model: {item: score >= right_from for item, score in found.items()}
        for model, found in scores.items()
    }
    all_right, all_wrong, telling, unmeasured = [], [], [], []
    best_of: list[bool | None] = []
    for item, _ in items:
        got = [found[item] for found in right.values() if item in found]
        best_of.append(any(got) if got else None)
        if len(got) < 2:
            unmeasured.append(item)
        elif all(got):
            all_right.append(item)
        elif not any(got):
            all_wrong.append(item)
        else:
            telling.append(item)
    clusters = [cluster for _, cluster in items]
    rates = {
        model: rate_metric([found.get(item) for item, _ in items], clusters=clusters)
        for model, found in sorted(right.items())
    }
    # Of equals the first by name, so that it is the same on every run.
    best_model = max(
        (m for m in rates if rates[m].value is not None),
        key=lambda model: rates[model].value or 0.0,
        default=None,
    )
    nothing = rate_metric([None for _ in items], clusters=clusters)
    return Discrimination(
        all_right,
        all_wrong,
        telling,
        unmeasured,
        best_model,
        rates[best_model] if best_model else nothing,
        rate_metric(best_of, clusters=clusters),
        len(scores),
    )


def coverage(named: Collection[str], all_of_them: Collection[str]) -> dict[str, Any]:
    """Return how many of what there is a set of questions names, and what it names that is gone."""
    there = set(all_of_them)
    mine = set(named)
    return {
        "covered": len(mine & there),
        "all": len(there),
        "share": len(mine & there) / len(there) if there else None,
        "gone": sorted(mine - there),
    }


def topic_coverage(
    topics: Mapping[str, int], in_topic: Mapping[str, int], outside: int
) -> dict[str, Any]:
    """Return which topics of real questions the set asks about.

    Args:
        topics: users' questions by topic.
        in_topic: the set's questions by topic.
        outside: the set's questions that lie in none.

    ``traffic_covered``: share of users' questions whose topic has at least one question of the set.
    """
    total = sum(topics.values())
    rows = [
        {"topic": name, "users": n, "questions": in_topic.get(name, 0)}
        for name, n in sorted(topics.items(), key=lambda one: (-one[1], one[0]))
    ]
    covered = sum(row["users"] for row in rows if row["questions"])  # type: ignore[misc]
    return {
        "topics": rows,
        "outside": outside,
        "covered": sum(bool(row["questions"]) for row in rows),
        "all": len(rows),
        "traffic_covered": covered / total if total else None,
    }
