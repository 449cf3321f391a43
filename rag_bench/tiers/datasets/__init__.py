"""Datasets beside the current snapshot: what they can still tell, and which answers went stale."""
