"""Assets over generation model × benchmark judge: whose answers are there, and what they were."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import dagster as dg

from rag_bench.assets.factories.cells import Recorder, keys_of, result_version
from rag_bench.errors import RagBenchError
from rag_bench.partitions import BENCHMARK_JUDGE, GENERATION_MODEL, Partitions, cell_key
from rag_bench.tiers.base.run_settings import Tier

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.bench import Bench

Pair = tuple[str, str]
"""Generation model, benchmark judge."""


def answered_pairs(
    context: dg.AssetExecutionContext,
    bench: "Bench",
    tier: Tier,
    partitions: Partitions,
    record: Recorder,
) -> tuple[Sequence[Pair], Callable[[Pair, "StoredEvaluation"], None]]:
    """Return the run's pairs whose answers are there, and what records a finished pair.

    A generator without answers fails its own cells only; a pair is recorded with the version of
    the very answers that it was made from.
    """
    from rag_bench.tiers.answers.answers import answers_of

    dimensions = [
        cast(dg.MultiPartitionKey, key).keys_by_dimension
        for key in keys_of(context, partitions.grid)
    ]
    pairs = [(keys[GENERATION_MODEL], keys[BENCHMARK_JUDGE]) for keys in dimensions]
    made_from: dict[str, str] = {}
    for generator in dict.fromkeys(generator for generator, _ in pairs):
        try:
            made_from[generator] = result_version(answers_of(bench, tier, generator)[0])
        except RagBenchError as error:
            record.blocked.append(str(error))

    def done(pair: Pair, found: "StoredEvaluation") -> None:
        record(cell_key(*pair), found, made_from[pair[0]])

    return [pair for pair in pairs if pair[0] in made_from], done
