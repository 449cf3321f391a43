"""``rag-bench dataset``: what a dataset can still tell, and what to do about answers gone stale."""
