"""Pairs of chunks that nearly repeat each other. No model is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rag_bench.analytics.traffic import Population
from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.tiers.traffic.analysis import Analysis, Found, Questions

#: Of the evaluations that hold them.
TIER = "analytics_near_duplicates"
MOST = 1000


@dataclass(frozen=True)
class NearDuplicatesConfig:
    """From which cosine, and from which share of common words, two chunks are alike."""

    cosine: float = 0.97
    containment: float = 0.8


def near_duplicates(analysis: Analysis, config: NearDuplicatesConfig) -> StoredEvaluation:
    """Find the pairs, one case each; of more than `MOST` the most alike, and how many there are."""
    # Of the chunks alone: nobody's questions are read.
    nobody = Questions([], Population(0, 0, 0), "none")

    def measure() -> Found:
        from rag_bench.analytics.near_duplicates import near_duplicates as found_in

        chunks = analysis.chunks
        pairs = found_in(
            analysis.chunk_vectors(), [chunk.text for chunk in chunks], **asdict(config)
        )
        cases = [
            Case(
                f"{chunks[pair.first].chunk_hash}:{chunks[pair.second].chunk_hash}",
                scores={"cosine": pair.cosine, "containment": pair.containment},
            )
            for pair in pairs[:MOST]
        ]
        alike = {place for pair in pairs for place in (pair.first, pair.second)}
        result = {"chunks": len(chunks), "pairs": len(pairs), "chunks_in_pairs": len(alike)}
        return {}, {**result, **asdict(config)}, cases

    return analysis.once(TIER, nobody, asdict(config), measure, version="1")
