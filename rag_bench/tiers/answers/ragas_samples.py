"""What RAGAS reads of a question: its answer, the contexts; and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rag_bench.errors import CaseError
from rag_bench.evaluation.aggregate import CaseRecord
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers import apart
from rag_bench.tiers.answers.contexts import not_retrieved
from rag_bench.tiers.answers.earlier import Answers
from rag_bench.tiers.answers.stored import GIVEN_ANSWER
from rag_bench.tiers.base.bench import Bench

if TYPE_CHECKING:
    from rag_bench.llm.ragas.metrics import RagasScore, Sample

PREFIX = "ragas_"
FAITHFULNESS = "faithfulness"


def answer_sample(bench: Bench, answers: Answers, item: Item) -> Sample:
    """Return an answer with the contexts that it was made from; raises CaseError without one."""
    from rag_bench.llm.ragas.metrics import Sample

    found = answers.answered(item.item_id)
    return Sample(
        item.question,
        found.text(bench),
        found.contexts(bench),
        item.reference_answer or "",
        refused=found.refused,
    )


def context_sample(
    bench: Bench,
    chosen: Mapping[str, Sequence[str]],
    failed: Mapping[str, CaseError],
    item: Item,
) -> Sample:
    """Return the contexts that are given to generators; raises CaseError where there are none."""
    from rag_bench.llm.ragas.metrics import Sample

    if item.item_id in failed:
        raise not_retrieved(failed[item.item_id])
    given = [bench.chunk_by_hash[h].text for h in chosen.get(item.item_id, [])]
    contexts = apart.as_read(bench, given)
    return Sample(item.question, contexts=contexts, reference=item.reference_answer or "")


def not_scored(bench: Bench, answers: Answers, item: Item, metric: str) -> bool:
    """Tell whether an answer is not held against anything: it counts apart, or a client gave it
    without what the metric reads.
    """
    case = answers.by_item.get(item.item_id)
    if apart.counts_apart(bench, case):
        return True
    given = case is not None and GIVEN_ANSWER in case.flags
    return given and metric == FAITHFULNESS and not has_contexts(answers, item)


def has_contexts(answers: Answers, item: Item) -> bool:
    """Tell whether it is known what an answer was made from; of one that failed it is asked."""
    case = answers.by_item.get(item.item_id)
    return case is None or case.error_code is not None or bool(case.retrieved)


def record_of(
    item: Item,
    case: Case,
    results: Mapping[str, RagasScore | CaseError],
    names: Sequence[str],
    applies: Callable[[Item, str], bool],
) -> CaseRecord:
    """Return a case as it is counted: what is undefined, or does not apply, is not expected."""
    # Undefined (0/0) is not the same as missing: no judge could have scored it.
    undefined = {
        PREFIX + metric
        for metric, result in results.items()
        if not isinstance(result, CaseError) and result.value is None
    }
    return CaseRecord(
        item.item_id,
        item.cluster,
        {name: value for name, value in case.scores.items() if name.startswith(PREFIX)},
        case.error_code,
        case.flags,
        undefined | {PREFIX + name for name in names if not applies(item, name)},
    )
