"""What judges read of answers to users' questions, and what is counted apart from it.

On a dataset of kind ``traffic`` nobody has said which questions the knowledge base answers. So what
a refusal is worth is not known, of production or of a model: refusals, and questions to which
production gave nothing, are counted and not scored. And whatever judges read there is masked, as
the questions and production's answers were when the dataset was made: the addresses and telephone
numbers of the help desk, which a model quotes from its chunks, would else be an advantage over an
answer that had its own masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.analytics.text import is_answer
from rag_bench.analytics.traffic_sample import MASKING, masked
from rag_bench.answer_sources import TRAFFIC
from rag_bench.evaluation.metrics.refusals import ANSWERED, UNANSWERED
from rag_bench.evaluation.statistics import rate_metric
from rag_bench.llm.tasks.pipeline import REFUSED
from rag_bench.privacy import masking
from rag_bench.store.datasets import USER_RATING
from rag_bench.store.public_names import public_names_of
from rag_bench.tiers.answers.stored import is_generated

if TYPE_CHECKING:
    from rag_bench.evaluation.types import Metric
    from rag_bench.store.evaluations import Case
    from rag_bench.tiers.base.bench import Bench


def is_of_users(bench: Bench) -> bool:
    """Tell whether the run's questions are those of real users."""
    return bench.dataset.kind == TRAFFIC


def counts_apart(bench: Bench, case: Case | None) -> bool:
    """Tell whether an answer is not scored by judges: a refusal, or none at all. One that failed
    is no such thing.
    """
    if case is None or not is_of_users(bench) or case.error_code:
        return False
    return not gave_answer(case)


def gave_answer(case: Case) -> bool:
    """Tell whether a case holds an answer: not blank, and no refusal, whoever gave it."""
    return REFUSED not in case.flags and is_answer(case.answer)


def as_read(bench: Bench, texts: Sequence[str]) -> list[str]:
    """Return texts as judges get them: masked where users asked, each once in a bench's life."""
    if not is_of_users(bench):
        return list(texts)
    known = bench.masked_texts
    if new := [text for text in dict.fromkeys(texts) if text not in known]:
        names = public_names_of(bench.engine, bench.snapshot)
        known |= zip(new, masked(new, names), strict=True)
    return [known[text] for text in texts]


def prepare(bench: Bench) -> None:
    """Load what masking needs where users asked, so that nothing is imported beside calls."""
    if is_of_users(bench):
        masking.prepare()


def read_inputs(bench: Bench) -> dict[str, str]:
    """Return what enters the input hash of what judges read: where it is masked, how."""
    return {"masked": MASKING} if is_of_users(bench) else {}


def rating_of(case: Case) -> dict[str, Any]:
    """Return the user's rating of the answer that production gave, to stand beside its scores."""
    rating = case.scores.get(USER_RATING)
    return {} if rating is None else {USER_RATING: rating}


def answered_metrics(bench: Bench, cases: Mapping[str, Case]) -> dict[str, Metric]:
    """Return how many questions of users got an answer. ``cases``: repeat 0 of each item.

    - ``answered_rate`` = share of questions with an answer that is no refusal. One that failed is
      missing.
    - ``unanswered_rate`` = of production's log alone: share of questions without any text.
    """
    asked = [item for item in bench.items if item.item_id in cases]
    found = [cases[item.item_id] for item in asked]
    clusters = [item.cluster for item in asked]
    answered = [None if case.error_code else gave_answer(case) for case in found]
    metrics = {ANSWERED: rate_metric(answered, clusters=clusters)}
    if any(not is_generated(case.flags) for case in found):
        nothing = [case.answer is None for case in found]
        metrics[UNANSWERED] = rate_metric(nothing, clusters=clusters)
    return metrics
