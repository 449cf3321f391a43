"""The cache of answers as a switch of tier 3: how much it answers, and how rightly.

`rag_bench.tiers.answers.cached_answers` counts them, with the cache switched on only.
"""

from __future__ import annotations

from rag_bench.evaluation.metric_spec import UNIT, entries

RATE = "cached_answer_rate"
PAGE_PRECISION = "cached_page_precision"
METRICS = (
    *entries(
        (RATE,), ("3",), "rate", UNIT, None, "share of questions answered from `question_answer`"
    ),
    *entries(
        (PAGE_PRECISION,),
        ("3",),
        "rate",
        UNIT,
        True,
        "of those whose relevant page is known, the share whose stored answer is of such a page; "
        "null without any",
    ),
)
