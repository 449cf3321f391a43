"""The bench of each part of a run; what was loaded for one is there for the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.answer_sources import CLIENT_ANSWERS, TARGET_PREFIX
from rag_bench.benchmark_fields import BenchmarkFields
from rag_bench.errors import RagBenchError
from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.executing.wanted import Wanted
from rag_bench.retrievers import DEFAULT
from rag_bench.store import snapshots
from rag_bench.store.datasets import DatasetInfo
from rag_bench.tiers.answers import measuring
from rag_bench.tiers.base.opening import open_bench

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings
    from rag_bench.store.snapshots import SnapshotInfo
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.text_vectors import Progress

# What does not depend on the questions, so that the next part need not load it.
_SHARED = ("chunks", "chunk_by_hash", "twins", "_texts", "searched")


@dataclass
class Benches:
    """Opens benches under one configuration. ``progress``: told how far each step is."""

    engine: Engine
    settings: Settings
    config: RunConfig
    wanted: Wanted
    progress: Progress
    dagster_run_id: str | None = None
    _loaded: dict[str, Any] = field(default_factory=dict)
    _snapshot: SnapshotInfo | None = None

    def of_given(self, dataset: DatasetInfo, *, snapshot: bool) -> Bench:
        """Return the bench of answers that clients gave.

        What our retrieval is set to plays no part, so it is as by default whatever was asked.

        Args:
            dataset: of their questions.
            snapshot: whether a case names chunks of it; else nothing is read of any.
        """
        encodes = self.wanted.ragas_answers or measuring.reads_vectors("3", self.wanted.of_answers)
        return self._open(
            BenchmarkFields(tier3_all_rubrics=self.wanted.all_rubrics),
            dataset,
            self.snapshot if snapshot else snapshots.NOTHING,
            encodes=encodes,
            wanted=self.wanted.of_answers,
        )

    def of_asked(self, dataset: DatasetInfo) -> Bench:
        """Return the bench of questions that a model, or an assistant, is asked."""
        fields = BenchmarkFields(
            retriever=self.config.retriever or DEFAULT,
            top_k=self.config.top_k,
            contexts_per_answer=self.config.contexts_per_answer,
            tier3_all_rubrics=self.wanted.all_rubrics,
        )
        # Of a stored dataset all is measured that assets measure: one result is both's.
        whole = self.config.dataset_id is not None
        wanted = None if whole else self.wanted.of_answers
        return self._open(fields, dataset, self.snapshot, encodes=True, wanted=wanted)

    def _open(
        self,
        fields: BenchmarkFields,
        dataset: DatasetInfo,
        snapshot: SnapshotInfo,
        *,
        encodes: bool,
        wanted: frozenset[str] | None,
    ) -> Bench:
        bench = open_bench(
            self.engine,
            self.settings,
            fields,
            snapshot,
            dataset,
            run_id=self.dagster_run_id,
            encodes=encodes,
        )
        bench.wanted = wanted
        bench.judged = self.wanted.judged_metrics
        bench.progress = self.progress
        if snapshot.sha256:
            bench.__dict__.update(self._loaded)
        return bench

    def keep(self, bench: Bench) -> None:
        """Keep what a bench has loaded for the next."""
        if bench.snapshot.sha256:
            self._loaded |= {n: bench.__dict__[n] for n in _SHARED if n in bench.__dict__}

    @property
    def snapshot(self) -> SnapshotInfo:
        """The snapshot that the run was prepared for.

        Raises:
            RagBenchError: it is gone.
        """
        if self._snapshot is None:
            sha256 = self.config.dump_sha256
            found = snapshots.get_snapshot(self.engine, sha256) if sha256 else None
            if found is None:
                raise RagBenchError(
                    "The knowledge base that this run was prepared for is not stored: load a dump "
                    "(rag-bench load-dump) and start the evaluation anew."
                )
            self._snapshot = found
        return self._snapshot


def generator_of(config: RunConfig, *, given: bool) -> str | None:
    """Return the key of whatever answers a part's questions; None: nobody is asked."""
    return CLIENT_ANSWERS.key if given else config.generation_model


def retrieves_by_itself(generator: str | None) -> bool:
    """Tell whether what answers has contexts of its own, so that ours say nothing of it."""
    if generator is None:
        return False
    return generator == CLIENT_ANSWERS.key or generator.startswith(TARGET_PREFIX)
