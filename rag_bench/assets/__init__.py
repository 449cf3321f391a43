"""The graph: each asset fetches, calls a tier or the core, stores, and describes.

Assets of tiers are made in `factories` from `rag_bench.tiers.registry`; those written by hand, of
no tier, are in `inputs` and `results`.
"""
