"""Tier 1: retrieval, all questions in one pass. No model is asked but a reranker's service."""

from rag_bench.tiers.registry import Axis, Option, Step, TierSpec
from rag_bench.tiers.stages import REFRESH, RETRIEVERS

_READS = ("manual_dataset", "synthetic_dataset", "traffic_dataset", "chunk_embeddings")
# One retrieval has one version, whoever asks for it.
_VERSION = "5"

TIER = TierSpec(
    "1",
    "retrieval",
    (
        Step(
            "tier1_retrieval",
            "metrics",
            "rag_bench.tiers.retrieval.retrieval:retrieval_tasks",
            _VERSION,
            REFRESH,
            "Tier 1: which chunks are found for each question, exact search, all questions in one "
            "pass.\n\nChunk level and page level have different names; a page counts once. Tier 3 "
            "answers from the chunks found here.",
            reads=_READS,
            pays=False,
            asks_if="rag_bench.tiers.retrieval.reranking:asks_service",
            kinds=("postgres", "numpy"),
            shows="rag_bench.assets.tiers.retrieval:shown",
        ),
        Step(
            "retrieval_lab",
            "metrics",
            "rag_bench.tiers.retrieval.lab:lab_tasks",
            _VERSION,
            RETRIEVERS,
            "Tier 1 by each retriever: what it finds, how long one query alone takes, how long its "
            "index takes to build and what memory it needs.\n\nA retriever's result is the one "
            "that tier 3 reads when it is run with that retriever.",
            by=Axis.RETRIEVER,
            reads=_READS,
            pays=False,
            asks_if="rag_bench.tiers.retrieval.lab:asks_service",
            kinds=("postgres", "numpy"),
            checks=("rag_bench.assets.tiers.retrieval_lab:measured_alike",),
            option=Option("all_retrievers", "Measure and compare every retriever as well."),
            shows="rag_bench.assets.tiers.retrieval_lab:shown",
        ),
    ),
)
