"""Executing a run: from stored cases to evaluations, results, and the run's end.

The same function in the service's process and in Dagster's, so that both write equal records.
"""

from rag_bench.eval_runs.executing.execution import execute

__all__ = ["execute"]
