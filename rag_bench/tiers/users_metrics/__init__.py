"""Metrics that a user brings: functions and modules named in `RAG_BENCH_CUSTOM_METRICS`."""
