"""The graph, one file per group: each asset fetches, calls the core, stores, and describes."""
