"""Tiers 0 and 1: the embedding space and retrieval. No language model is asked."""
