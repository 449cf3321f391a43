"""Context precision and recall by identity: were the right chunks given to the generator?

RAGAS has these two in its old module only; the formulas are few enough to be our own. No judge
is asked. Next to the ``ragas_`` measures they tell a judge's error from a search's.
"""

from __future__ import annotations

from collections.abc import Collection

from rag_bench.evaluation.metric_spec import UNIT, entries

METRICS = (
    *entries(
        ("id_based_context_precision",),
        ("1",),
        "mean",
        UNIT,
        True,
        r"\|G ∩ R\| / \|G\|; null where nothing is given",
    ),
    *entries(
        ("id_based_context_recall",),
        ("1",),
        "mean",
        UNIT,
        True,
        r"\|G ∩ R\| / \|R\|",
    ),
)
NAMES = tuple(metric.name for metric in METRICS)


def id_based_context(
    given: Collection[str] | None, reference: Collection[str]
) -> dict[str, float | None]:
    """Return both measures of one question, each id counted once.

    ``given``: ids of the chunks that the generator gets, None where retrieval failed;
    ``reference``: those that hold the answer.

    ``id_based_context_precision`` = |given ∩ reference| / |given|, None when nothing was given.
    ``id_based_context_recall`` = |given ∩ reference| / |reference|; 0 when nothing was given.
    Both are None where no reference is known.
    """
    if given is None or not reference:
        return dict.fromkeys(NAMES)
    found, relevant = set(given), set(reference)
    hits = len(found & relevant)
    return {
        "id_based_context_precision": hits / len(found) if found else None,
        "id_based_context_recall": hits / len(relevant),
    }
