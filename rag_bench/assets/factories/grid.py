"""Assets over generation model × benchmark judge: which pairs a run is about."""

from collections.abc import Sequence
from typing import cast

import dagster as dg

from rag_bench.assets.factories.cells import keys_of
from rag_bench.partitions import BENCHMARK_JUDGE, GENERATION_MODEL, Partitions


def pairs_of_run(
    context: dg.AssetExecutionContext, partitions: Partitions
) -> Sequence[tuple[str, str]]:
    """Return the run's pairs: generation model, benchmark judge."""
    dimensions = [
        cast(dg.MultiPartitionKey, key).keys_by_dimension
        for key in keys_of(context, partitions.grid)
    ]
    return [(keys[GENERATION_MODEL], keys[BENCHMARK_JUDGE]) for keys in dimensions]
