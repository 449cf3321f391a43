"""Retrievers beside each other: what they cost, and which of them finds more."""
