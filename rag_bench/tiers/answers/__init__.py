"""Tiers 2 and 3: answers of generation models, and what judges and measures say of them."""
