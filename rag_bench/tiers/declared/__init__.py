"""One module per tier, each with one `TierSpec` named ``TIER``; data only, nothing heavy imported.

What the words mean is in `rag_bench.tiers.registry`.
"""
