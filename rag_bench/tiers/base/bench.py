"""The bench: one run's settings with everything they name, loaded once per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.twins import Twins
from rag_bench.hashing import content_hash
from rag_bench.store import datasets, snapshots
from rag_bench.store.datasets import DatasetInfo, Item
from rag_bench.store.public_names import with_name_masked
from rag_bench.tiers.base.pairs import pairs_of
from rag_bench.tiers.base.run_retriever import settings_of
from rag_bench.tiers.base.run_settings import RunSettings
from rag_bench.tiers.base.text_vectors import Progress, TextVectors, silent

if TYPE_CHECKING:
    import numpy as np
    from sqlalchemy import Engine

    from rag_bench.retrieval.embed import EmbedReport
    from rag_bench.retrieval.encoder import Encoder
    from rag_bench.retrieval.identity import EncoderIdentity
    from rag_bench.retrievers import Retriever
    from rag_bench.settings import Settings
    from rag_bench.tiers.answers.earlier import Earlier

#: Kinds of datasets whose questions people wrote.
BY_PEOPLE = ("manual", "questions", "squad")


@dataclass
class Bench:
    """A run's settings and what they name: dataset, snapshot, chunks, encoder.

    Attributes:
        retriever: how the chunks of a question are found.
        reopen: opens the bench of another retriever under the run's other settings.
        run_id: the Dagster run, for the records.
        retry_failed: ask again what was answered unreadably before.
        wanted: only these metrics of answers are measured; None: all that there are.
        judged: only these metrics are asked of judges, by their full names; None: all of a step.
        foreseen: set by a plan, which runs no step: what later steps read in place of the store.
    """

    engine: Engine
    settings: Settings
    run: RunSettings
    dataset: DatasetInfo
    snapshot: snapshots.SnapshotInfo
    retriever: Retriever
    run_id: str | None = None
    retry_failed: bool = False
    wanted: frozenset[str] | None = None
    judged: frozenset[str] | None = None
    progress: Progress = field(default=silent)
    foreseen: Earlier | None = None
    reopen: Callable[[str], Bench] | None = None

    def by_retriever(self, name: str) -> Bench:
        """Return the bench of a retriever under the same settings otherwise; what is loaded is
        shared.

        Raises:
            RagBenchError: there is no such retriever, or this run's numbers do not fit it.
        """
        if name == self.retriever.name:
            return self
        if self.reopen is None:
            raise RagBenchError("This bench was not opened by a run: it has one retriever.")
        found = self.reopen(name)
        found.progress, found.foreseen = self.progress, self.foreseen
        found.__dict__["_texts"] = self._texts  # and with it the encoder, if it is loaded
        for loaded in ("items", "chunks", "chunk_by_hash", "twins"):
            if loaded in self.__dict__:
                found.__dict__[loaded] = self.__dict__[loaded]
        return found

    @cached_property
    def public_dataset(self) -> DatasetInfo:
        """The dataset as anybody may see it: somebody gave it its name."""
        return with_name_masked(self.engine, self.dataset)

    @cached_property
    def items(self) -> list[Item]:
        """The questions, cut to the limit."""
        return datasets.items_of(self.engine, self.dataset.id, self.run.limit)

    @cached_property
    def pairs(self) -> DatasetInfo | None:
        """The labelled pairs of tiers judge and judge_pipeline; None: the snapshot has none."""
        return pairs_of(self.engine, self.snapshot, self.run.pairs)

    @cached_property
    def chunks(self) -> Sequence[snapshots.ChunkRecord]:
        """The chunks of the current snapshot in their order."""
        return snapshots.chunks_of(self.engine, self.snapshot.sha256)

    @cached_property
    def chunk_by_hash(self) -> dict[str, snapshots.ChunkRecord]:
        """The same, by content hash."""
        return {chunk.chunk_hash: chunk for chunk in self.chunks}

    @cached_property
    def twins(self) -> Twins:
        """The chunks whose text stands in another chunk, too."""
        return Twins.of((chunk.chunk_hash, chunk.text) for chunk in self.chunks)

    @cached_property
    def masked_texts(self) -> dict[str, str]:
        """Texts as they are masked for judges, as far as they were."""
        return {}

    @cached_property
    def _texts(self) -> TextVectors:
        return TextVectors(self.engine, self.settings, lambda *step: self.progress(*step))

    @cached_property
    def searched(self) -> TextVectors:
        """Vectors of questions and chunks as the retriever compares them: by its own encoder, or
        by that of the settings.
        """
        own = settings_of(self.settings, self.retriever)
        if own is self.settings:
            return self._texts
        return TextVectors(self.engine, own, lambda *step: self.progress(*step))

    @property
    def encoder_identity(self) -> EncoderIdentity:
        """The encoder's address, known without loading it."""
        return self._texts.identity

    def embed(self, texts: Sequence[str], label: str) -> EmbedReport:
        """Make sure that these exact texts (prefix included) have a vector."""
        return self._texts.embed(texts, label)

    def loaded_encoder(self) -> Encoder:
        """Return the settings' encoder in this process; it is loaded once."""
        return self._texts.loaded()

    def rehearse_encoding(self) -> None:
        """Start the encoder before threads are at work; see `rag_bench.tiers.base.rehearsal`."""
        self._texts.start()

    def encode_soon(self, texts: Sequence[str]) -> None:
        """Have texts encoded as questions are, in a process of its own, beside running calls."""
        self._texts.soon([self.encoder_identity.query_text(text) for text in texts])

    def await_encoding(self, texts: Sequence[str]) -> None:
        """Return when none of these texts is under way any more."""
        self._texts.await_soon([self.encoder_identity.query_text(text) for text in texts])

    def stop_encoding(self) -> None:
        """Encode no more of what was given to `encode_soon`."""
        self._texts.stop_soon()

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Return the stored vectors (n, d) of exact texts, in their order."""
        return self._texts.stored(texts)

    def input_hash(self, *parts: Any) -> str:
        """Return the address of an evaluation's inputs: these settings and ``parts``."""
        return content_hash([self.run.hash, *parts])

    def identity(self) -> dict[str, Any]:
        """Return the columns that every evaluation of this run shares."""
        return {
            "settings_hash": self.run.hash,
            "settings": self.run.as_json(),
            "embedding_model": self.encoder_identity.name if self.run.encoder else None,
            "dataset_id": self.dataset.id,
            "dump_sha256": self.snapshot.sha256 or None,
            "prompt_hash": self.run.prompt_hash,
            "dagster_run_id": self.run_id,
        }


def resolve_dataset(
    engine: Engine, snapshot: snapshots.SnapshotInfo, reference: str | None, mode: str | None
) -> DatasetInfo:
    """Return the dataset a run asks for, or the snapshot's default one.

    Raises:
        RagBenchError: no such dataset, or none was made yet; the message says how to make one.
    """
    if reference:
        found = datasets.find_dataset(engine, reference)
        if found is None:
            known = ", ".join(str(d) for d in datasets.list_datasets(engine)[:5]) or "none"
            raise RagBenchError(f"There is no dataset {reference!r}. The newest are: {known}.")
        return found
    if mode != "synthetic" and snapshot.default_dataset_id:
        default = datasets.get_dataset(engine, snapshot.default_dataset_id)
        if mode is None or default.kind in BY_PEOPLE:
            return default
    kinds: Sequence[Sequence[str]] = [BY_PEOPLE, ["synthetic"]]
    if mode:
        kinds = [["synthetic"] if mode == "synthetic" else BY_PEOPLE]
    for wanted in kinds:
        found = datasets.newest_dataset_about(engine, snapshot.sha256, wanted)
        if found:
            return found
    raise RagBenchError(
        f"There is no {mode + ' ' if mode else ''}dataset about the current snapshot "
        f"({snapshot.name}). Let a model write one (`rag-bench generate-dataset`, asset "
        "synthetic_dataset), or import questions of your own: "
        "rag-bench import-dataset FILE --default."
    )
