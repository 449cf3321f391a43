"""What a comparison says, as Python and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rag_bench.evaluation.comparison import Comparison
from rag_bench.evaluation.paired.decision import Decision, overall
from rag_bench.evaluation.paired.words import GOT_WORSE, Word
from rag_bench.evaluation.precision import published
from rag_bench.evaluation.types import few_clusters_note
from rag_bench.reporting.compared.across import Carried
from rag_bench.reporting.compared.inputs import Difference
from rag_bench.reporting.compared.sides import Side, SideCase

_QUESTION_CHARACTERS = 160
#: Gives what is shown in place of each case: with its words masked.
Seen = Callable[[Sequence[SideCase]], Sequence[SideCase]]


@dataclass(frozen=True)
class MetricCompared:
    """One metric: means of the pairs, their difference (b minus a), and what is said of it.

    ``higher_is_better``: None where neither direction is better, or it is not known which; such a
    metric has no part in the verdict. ``carried``: the bridge between two judges that one side,
    ``carried_side``, came over; its mean is then on the other judge's scale. ``never_checked``:
    judges of whose scores by it no label of people says anything.
    """

    name: str
    higher_is_better: bool | None
    a: float | None
    b: float | None
    comparison: Comparison
    p_adjusted: float | None
    margin: float | None
    decision: Decision
    unpaired: Mapping[str, int]
    carried: Carried | None = None
    carried_side: str = ""
    never_checked: tuple[str, ...] = ()

    @property
    def directed(self) -> bool:
        """Whether one direction is better."""
        return self.higher_is_better is not None

    @property
    def counts(self) -> bool:
        """Whether it has a part in the verdict: one without a margin can only be worse.

        It is never "no worse than the margin", so that no pair of runs would pass with it.
        """
        return self.directed and (self.margin is not None or self.decision.word == GOT_WORSE)

    def as_json(self) -> dict[str, Any]:
        """Return it with numbers as they are published."""
        found, difference = self.comparison, self.comparison.difference
        needed = self.decision.needed
        few = {
            "n_clusters": found.n_clusters,
            "n_scored": difference.n_scored,
            "ci_low": number(difference.ci_low),
            "ci_high": number(difference.ci_high),
        }
        return {
            "metric": self.name,
            "verdict": self.decision.word,
            "better": self.decision.better,
            "reason": self.decision.reason,
            "higher_is_better": self.higher_is_better,
            "a": number(self.a),
            "b": number(self.b),
            "difference": number(difference.value),
            "ci_low": number(difference.ci_low),
            "ci_high": number(difference.ci_high),
            "margin": number(self.margin),
            "p_value": number(found.p_value),
            "p_exact": number(found.p_exact),
            "p_adjusted": number(self.p_adjusted),
            "method": found.method,
            "minimum_detectable": number(found.minimum_detectable),
            "n_pairs": difference.n_scored,
            "n_expected": difference.n_expected,
            "n_pages": found.n_clusters,
            "needed": {"questions": needed.questions, "pages": needed.pages} if needed else None,
            "unpaired": dict(self.unpaired),
            "note": few_clusters_note(few),
            "across_bridge": self._across(),
            "never_checked_against_people": list(self.never_checked),
        }

    def _across(self) -> dict[str, Any] | None:
        if self.carried is None:
            return None
        mean = self.a if self.carried_side == "a" else self.b
        said = self.carried.as_json(mean, self.carried_side)
        return {
            **said,
            "own_mean": number(said["own_mean"]),
            "link_error": number(said["link_error"]),
        }


@dataclass(frozen=True)
class Alone:
    """A case that one side has and the other has not, or not by one ``metric``."""

    side: str
    case: SideCase
    reason: str
    metric: str | None = None

    @property
    def cases(self) -> tuple[SideCase, ...]:
        """The case."""
        return (self.case,)

    def of(self, case: SideCase) -> Alone:
        """Return the same of a case that is shown in place of this one."""
        return replace(self, case=case)

    def as_json(self) -> dict[str, Any]:
        """Return it; ``side`` is the one that has the case or the score."""
        return {
            **_named(self.case),
            "only": self.side,
            "reason": self.reason,
            "metric": self.metric,
        }


@dataclass(frozen=True)
class Changed:
    """A case whose score differs; ``beyond_margin``: by more than the metric's margin."""

    case_a: SideCase
    case_b: SideCase
    metric: str
    a: float
    b: float
    worse: bool
    beyond_margin: bool

    @property
    def difference(self) -> float:
        """The second score minus the first."""
        return self.b - self.a

    @property
    def cases(self) -> tuple[SideCase, ...]:
        """The case on both sides."""
        return self.case_a, self.case_b

    def of(self, case_a: SideCase, case_b: SideCase) -> Changed:
        """Return the same of cases that are shown in place of these."""
        return replace(self, case_a=case_a, case_b=case_b)

    def as_json(self) -> dict[str, Any]:
        """Return it with both scores; ``case_id_a`` only where the ids differ."""
        found = {
            **_named(self.case_b),
            "metric": self.metric,
            "a": number(self.a),
            "b": number(self.b),
            "difference": number(self.difference),
            "beyond_margin": self.beyond_margin,
        }
        if self.case_a.asked.case_id != self.case_b.asked.case_id:
            found["case_id_a"] = self.case_a.asked.case_id
        return found


@dataclass(frozen=True)
class Compared:
    """Everything that a comparison of ``b`` with ``a`` says.

    ``pages_known``: pairs whose page is known; the others count by their question alone.
    ``n_tests``: metrics over which p is adjusted. ``alone``: cases and scores of one side only.
    ``worse`` and ``better``: by metric, the largest difference first.
    """

    a: Side
    b: Side
    alpha: float
    margin: float
    paired_by: str
    n_pairs: int
    n_pages: int
    pages_known: int
    n_tests: int
    metrics: Sequence[MetricCompared]
    only_in_a: Sequence[str]
    only_in_b: Sequence[str]
    inputs: Sequence[Difference]
    alone: Sequence[Alone]
    worse: Sequence[Changed]
    better: Sequence[Changed]

    @property
    def never_checked(self) -> list[str]:
        """Judges of compared scores that were never checked against people by their metric."""
        return list(dict.fromkeys(judge for one in self.metrics for judge in one.never_checked))

    @property
    def verdict(self) -> Word:
        """The worst word of the metrics that have a part in it."""
        return overall(one.decision.word for one in self.metrics if one.counts)

    def _only(self, side: str) -> dict[str, int]:
        """Return how many cases, not scores, only a side has, by reason."""
        reasons = [one.reason for one in self.alone if one.metric is None and one.side == side]
        return dict(Counter(reasons).most_common())

    def as_json(
        self, *, limit: int | None = None, offset: int = 0, seen: Seen | None = None
    ) -> dict[str, Any]:
        """Return it for programs.

        Args:
            limit: at most so many cases in each of the three lists; None: all.
            offset: where each of these begins.
            seen: gives the cases as they are shown; None: as they are.
        """
        end = None if limit is None else offset + limit
        lists: Mapping[str, Sequence[Changed | Alone]] = {
            "worse": self.worse,
            "better": self.better,
            "unpaired": self.alone,
        }
        longest = max(len(one) for one in lists.values())
        return {
            "a": self.a.as_json(),
            "b": self.b.as_json(),
            "verdict": self.verdict,
            "alpha": self.alpha,
            "margin": self.margin,
            "paired_by": self.paired_by,
            "n_pairs": self.n_pairs,
            "n_pages": self.n_pages,
            "n_pairs_with_page": self.pages_known,
            "n_tests": self.n_tests,
            "metrics": [one.as_json() for one in self.metrics],
            "metrics_only_in_a": list(self.only_in_a),
            "metrics_only_in_b": list(self.only_in_b),
            "inputs": [one.as_json() for one in self.inputs],
            "never_checked_against_people": list(self.never_checked),
            "n_worse": len(self.worse),
            "n_better": len(self.better),
            "n_unpaired": len(self.alone),
            "cases_only_in_a": self._only("a"),
            "cases_only_in_b": self._only("b"),
            **{
                name: [one.as_json() for one in _seen(found[offset:end], seen)]
                for name, found in lists.items()
            },
            "next_offset": end if end is not None and end < longest else None,
        }


def _seen(found: Sequence[Changed | Alone], seen: Seen | None) -> Sequence[Changed | Alone]:
    if seen is None:
        return found
    shown = iter(seen([case for one in found for case in one.cases]))
    return [one.of(*(next(shown) for _ in one.cases)) for one in found]


def number(value: float | None) -> float | None:
    """Return a number as it is published."""
    return None if value is None else published(value)


def _named(case: SideCase) -> dict[str, Any]:
    question = case.asked.question
    if question is not None and len(question) > _QUESTION_CHARACTERS:
        question = question[: _QUESTION_CHARACTERS - 1] + "…"
    return {"case_id": case.asked.case_id, "question": question}
