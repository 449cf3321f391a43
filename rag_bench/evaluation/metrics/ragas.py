"""RAGAS' scores by a benchmark judge, 0 to 1; `rag_bench.llm.ragas` asks for them."""

from __future__ import annotations

from rag_bench.evaluation.metric_spec import UNIT, Need, entries

_SOURCE = "ragas 0.4.3"
_REFERENCE = (Need.in_scope, Need.reference)
OF_ANSWER = (
    *entries(
        ("ragas_faithfulness",),
        ("2", "3"),
        "mean",
        UNIT,
        True,
        "statements of the answer that follow from its chunks / statements; not expected of a "
        "refusal that states nothing. 2 calls",
        source=_SOURCE,
        needs=(Need.in_scope,),
    ),
    *entries(
        ("ragas_answer_relevancy",),
        ("2", "3"),
        "mean",
        UNIT,
        True,
        "mean cosine of the question and three questions made from the answer; 0 if all three "
        "draws call the answer evasive. 3 calls",
        source=_SOURCE,
        needs=(Need.in_scope,),
    ),
    *entries(
        ("ragas_answer_correctness",),
        ("2", "3"),
        "mean",
        UNIT,
        True,
        "0.75 · 2 TP / (2 TP + FP + FN) + 0.25 · cosine of answer and reference; for a refusal "
        "that states nothing the first part is 0. 3 calls",
        source=_SOURCE,
        needs=_REFERENCE,
    ),
    *entries(
        ("ragas_semantic_similarity",),
        ("2", "3"),
        "mean",
        UNIT,
        True,
        "cosine of answer and reference. No call",
        source=_SOURCE,
        needs=_REFERENCE,
    ),
)
#: They read no answer.
OF_CONTEXT = (
    *entries(
        ("ragas_context_precision",),
        ("3",),
        "mean",
        UNIT,
        True,
        "average precision: mean over the useful chunks of the share of useful ones down to their "
        "rank; 0 if none is. 1 call per chunk",
        source=_SOURCE,
        needs=_REFERENCE,
    ),
    *entries(
        ("ragas_context_recall",),
        ("3",),
        "mean",
        UNIT,
        True,
        "sentences of the reference that can be derived from the chunks / sentences. 1 call",
        source=_SOURCE,
        needs=_REFERENCE,
    ),
)
METRICS = (*OF_ANSWER, *OF_CONTEXT)
RAGAS_ANSWER_NAMES = tuple(metric.name for metric in OF_ANSWER)
RAGAS_CONTEXT_NAMES = tuple(metric.name for metric in OF_CONTEXT)
