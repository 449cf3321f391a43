"""Families of metrics, a file each: the formulas, and an entry for every metric that they give.

A module here may hold ``METRICS``, entries of metrics that a tier computes by calling it, and
``OF_ANSWERS``, groups of metrics with the function that computes them for answers of tiers 2 and 3
(`rag_bench.evaluation.answer_metrics`). Extensions furnish the same room. What reads all of them is
`rag_bench.evaluation.catalogue`.
"""
