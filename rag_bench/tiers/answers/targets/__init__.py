"""Tier 3 of live assistants, who retrieve by themselves."""
