"""Executing a run: from stored cases to evaluations, results, and the run's end.

The same function in the service's process and in Dagster's, so that both write equal records.
"""

from rag_bench.eval_runs.executing.execution import execute
from rag_bench.eval_runs.executing.light import warm_up

__all__ = ["execute", "warm_up"]
