"""Partitions: one per model, or per retriever, read from the settings when the definitions load.

A new model is a line in the environment file, a new retriever a table in the file of retrievers,
and "Reload definitions" in the UI. The offline models and `default` are always there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from rag_bench.llm.config.providers import Providers, Role
from rag_bench.retrievers import retrievers
from rag_bench.settings import get_settings
from rag_bench.tiers.registry import Axis

GENERATION_MODEL = "generation_model"
BENCHMARK_JUDGE = "benchmark_judge"


@dataclass(frozen=True)
class ModelLists:
    """Model keys per role, in the order of the settings."""

    generation: Sequence[str]
    benchmark_judges: Sequence[str]
    production_judges: Sequence[str]

    @classmethod
    def from_providers(cls, providers: Providers) -> ModelLists:
        """Return every configured model, answer sources behind the generation models; raises
        ConfigurationError for a bad name.
        """
        return cls(
            providers.generators(),
            providers.models_for(Role.benchmark_judge),
            providers.models_for(Role.production_judge),
        )


@dataclass(frozen=True)
class Partitions:
    """The partitions that the assets of the sweep and of the retrieval lab are split by."""

    generation: dg.StaticPartitionsDefinition
    benchmark_judges: dg.StaticPartitionsDefinition
    production_judges: dg.StaticPartitionsDefinition
    grid: dg.MultiPartitionsDefinition
    retrievers: dg.StaticPartitionsDefinition

    @classmethod
    def of(cls, models: ModelLists) -> Partitions:
        """Return the partitions of these models; the grid is generator by benchmark judge.

        Retrievers are those of the settings; raises ConfigurationError if their file is wrong.
        """
        generation = dg.StaticPartitionsDefinition(list(models.generation))
        judges = dg.StaticPartitionsDefinition(list(models.benchmark_judges))
        return cls(
            generation,
            judges,
            dg.StaticPartitionsDefinition(list(models.production_judges)),
            dg.MultiPartitionsDefinition(
                {
                    GENERATION_MODEL: generation,
                    BENCHMARK_JUDGE: judges,
                }
            ),
            dg.StaticPartitionsDefinition(list(retrievers(get_settings()))),
        )

    def by(self, axis: Axis) -> dg.PartitionsDefinition[str]:
        """Return the partitions of steps that are measured for these models or retrievers.

        Raises:
            KeyError: of none.
        """
        definitions: dict[Axis, dg.PartitionsDefinition[str]] = {
            Axis.GENERATOR: self.generation,
            Axis.JUDGE: self.benchmark_judges,
            Axis.GATE: self.production_judges,
            Axis.PAIR: self.grid,
            Axis.RETRIEVER: self.retrievers,
        }
        return definitions[axis]


def cell_key(generation_model: str, benchmark_judge: str) -> dg.MultiPartitionKey:
    """Return the grid's partition key of a pair of models."""
    return dg.MultiPartitionKey(
        {GENERATION_MODEL: generation_model, BENCHMARK_JUDGE: benchmark_judge}
    )
