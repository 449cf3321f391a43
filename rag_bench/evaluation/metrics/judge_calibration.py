"""A benchmark judge against people, by one rubric: what asset ``judge_calibration`` stores."""

from __future__ import annotations

from rag_bench.evaluation.metric_spec import COSINE, UNIT, entries
from rag_bench.evaluation.rubrics import SCALE

TIER = "judge_calibration"
#: Before the names of `rag_bench.evaluation.people.calibration`.
PREFIX = "calibration_"
_RATES = {
    "sensitivity": "of the answers that people call good (4 or 5), the share that the judge calls "
    "good; Wilson at the effective size",
    "specificity": "of the answers that people call bad, the share that the judge calls bad",
    "balanced_accuracy": "mean of the two; MOVER limits from their Wilson intervals",
    "auc": "probability that an answer that people call good gets a higher score than a bad one, "
    "ties half",
}
_AGREEMENT = {
    "kappa": "Cohen's kappa of judge and people at 4; bootstrap over pages",
    "kappa_quadratic": "Cohen's kappa of the grades, disagreements weighted by the square of their "
    "distance; bootstrap over pages",
    "spearman": "rank correlation of the judge's grades with people's; bootstrap over pages",
}
_COUNTS = {
    "true_positive": "answers that people and judge call good",
    "false_negative": "answers that people call good and the judge bad",
    "true_negative": "answers that both call bad",
    "false_positive": "answers that people call bad and the judge good",
}
METRICS = tuple(
    entry
    for scale, formulas in ((UNIT, _RATES), (COSINE, _AGREEMENT))
    for name, formula in formulas.items()
    for entry in entries((f"{PREFIX}{name}",), (TIER,), "summary", scale, True, formula)
)
METRICS += entries(
    (f"{PREFIX}severity",),
    (TIER,),
    "mean",
    (SCALE[0] - SCALE[1], SCALE[1] - SCALE[0]),
    None,
    "mean of judge's minus people's grade; below 0 the judge is stricter than people",
)
METRICS += tuple(
    entry
    for name, formula in _COUNTS.items()
    for entry in entries((f"{PREFIX}{name}",), (TIER,), "count", None, None, formula)
)
