"""Releases: what was measured is measured once more, in part or under mixed conditions.

A gate that asks again before it blocks, and a comparison that splits a change among its causes,
both replay stored evaluations: `replay.py`. What they decide by is pure (`evaluation/paired/`).
"""
