"""BERTScore of answer and reference; `rag_bench.tiers.answers.bertscore` computes it."""

from __future__ import annotations

from rag_bench.evaluation.metric_spec import COSINE, Need, entries

_SOURCE = "bert-score 0.3.13 (Zhang et al. 2020)"
_FORMULAS = {
    "bertscore_precision": "mean over the answer's tokens of the best cosine among the reference's",
    "bertscore_recall": "mean over the reference's tokens of the best cosine among the answer's",
    "bertscore_f1": "2 P R / (P + R) of the case; null if P + R is not above 0",
}
METRICS = tuple(
    entry
    for name, formula in _FORMULAS.items()
    for entry in entries(
        (name,),
        ("2", "3"),
        "mean",
        COSINE,
        True,
        formula,
        source=_SOURCE,
        needs=(Need.in_scope, Need.reference),
    )
)
BERTSCORE_NAMES = tuple(_FORMULAS)
