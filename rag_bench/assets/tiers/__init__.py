"""One module per kind of tier: its assets. What they do is in `rag_bench.tiers`."""
