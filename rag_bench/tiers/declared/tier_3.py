"""Tier 3: end to end, from the chunks that retrieval found."""

from rag_bench.tiers.declared._answered import (
    ASK_RAGAS,
    RAGAS_KINDS,
    RAGAS_TEXTS,
    RAGAS_VERSION,
    READABLE,
    answered,
)
from rag_bench.tiers.registry import Axis, Step, TierSpec
from rag_bench.tiers.stages import RAGAS_CONTEXTS

TIER = TierSpec(
    "3",
    "end_to_end",
    (
        *answered(
            "3",
            ("tier1_retrieval",),
            "Tier 3: each generation model's answers from the chunks that retrieval found, before "
            "the show/hide gate. Calls models.",
            "Tier 3: end-to-end quality (rubric, 1 to 5) of each generation model's answers by "
            "each benchmark judge; with tier3_all_rubrics tier 2's three rubrics, on the retrieved "
            "chunks, as well. Calls models.",
            "retrieved",
        ),
        Step(
            "tier3_context_scores",
            "ragas",
            "rag_bench.tiers.answers.ragas:ragas_context_tasks",
            RAGAS_VERSION,
            RAGAS_CONTEXTS,
            "Tier 3: context precision and recall (RAGAS, 0 to 1) of the retrieved chunks by each "
            "benchmark judge. They read no answer, so they are not split by generation model. "
            "Calls models.",
            by=Axis.JUDGE,
            reads=("tier1_retrieval",),
            texts=RAGAS_TEXTS,
            checks=(READABLE,),
            kinds=RAGAS_KINDS,
            option=ASK_RAGAS,
            instrument="RAGAS",
        ),
    ),
)
