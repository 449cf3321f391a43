"""Tiers judge and judge_pipeline: how good the judges themselves are."""
