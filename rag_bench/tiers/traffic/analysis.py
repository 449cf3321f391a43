"""The current snapshot opened for an analysis of it: questions, vectors, search, record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rag_bench.analytics.traffic import SEED, Asked, Population, take
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.traffic.ratings import FIVE, RatingScale
from rag_bench.evaluation.types import Metric
from rag_bench.hashing import content_hash
from rag_bench.store import datasets, snapshots
from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.store.traffic import rating_scale
from rag_bench.tiers.base.bench import Progress, silent
from rag_bench.tiers.base.evaluate import Measured, Task, Work, evaluate_one
from rag_bench.tiers.base.text_vectors import TextVectors

if TYPE_CHECKING:
    import numpy as np
    from sqlalchemy import Engine

    from rag_bench.privacy.public_names import PublicNames
    from rag_bench.retrieval.identity import EncoderIdentity
    from rag_bench.retrieval.search import TopK
    from rag_bench.settings import Settings

VERSION = "3"

Found = tuple[Mapping[str, Metric], Mapping[str, Any], Sequence[Case]]
"""Metrics, the result to keep, cases."""


class NoQuestionsError(RagBenchError):
    """There is nothing to analyse; the message says what to load or to make."""


@dataclass(frozen=True)
class Questions:
    """Sampled questions with where they are from; ``address`` is the hash of all of them."""

    asked: Sequence[Asked]
    population: Population
    address: str
    dataset_id: str | None = None
    scale: RatingScale = FIVE  # of the users' ratings


@dataclass
class Analysis:
    """The current snapshot with its texts and vectors, for one analysis.

    Attributes:
        run_id: the Dagster run, for the records.
    """

    engine: Engine
    settings: Settings
    snapshot: snapshots.SnapshotInfo
    run_id: str | None = None
    progress: Progress = field(default=silent)

    @cached_property
    def chunks(self) -> list[snapshots.ChunkRecord]:
        """The chunks by hash: of equal texts search then finds the same first after a reindex."""
        found = snapshots.chunks_of(self.engine, self.snapshot.sha256)
        return sorted(found, key=lambda chunk: chunk.chunk_hash)

    @cached_property
    def _texts(self) -> TextVectors:
        return TextVectors(self.engine, self.settings, self.progress)

    @property
    def encoder_identity(self) -> EncoderIdentity:
        """The encoder's address, known without loading it."""
        return self._texts.identity

    @property
    def public_names(self) -> PublicNames:
        """The names that the chunks have: in questions they are not masked."""
        from rag_bench.store.public_names import public_names_of

        return public_names_of(self.engine, self.snapshot)

    def question_vectors(self, asked: Sequence[Asked]) -> np.ndarray:
        """Return the vectors of questions, encoded as questions: never the stored production
        vectors, which are of rated rows only and often of the answer.
        """
        return self._texts.of_questions([question.text for question in asked])

    def chunk_vectors(self) -> np.ndarray:
        """Return the vectors of the chunks, in the order of ``chunks``."""
        return self._texts.of_chunks([chunk.text for chunk in self.chunks])

    def search(self, questions: np.ndarray, k: int) -> TopK:
        """Return the ``k`` nearest chunks of each question, exactly."""
        from rag_bench.retrieval.search import top_k

        return top_k(questions, self.chunk_vectors(), k)

    def real_questions(self, limit: int | None) -> Questions:
        """Return a sample of what users asked.

        Raises:
            NoQuestionsError: the snapshot has none.
        """
        asked, scale = self._asked
        chosen, population = take(asked, limit)
        if not chosen:
            raise NoQuestionsError(
                f"The current snapshot ({self.snapshot.name}) holds no questions of users, so "
                "there is nothing to analyse. Load a dump whose question_answer has rows."
            )
        return Questions(chosen, population, self.real_questions_address(), scale=scale)

    def real_questions_address(self) -> str:
        """Return the hash of all that users asked and got."""
        asked, scale = self._asked
        address = [asdict(q) for q in asked]
        # The usual scale is not named, so that what was analysed on it stays found.
        if scale.name != FIVE.name:
            address.append({"ratings": scale.name})
        return content_hash(address)

    @cached_property
    def _asked(self) -> tuple[list[Asked], RatingScale]:
        rows = snapshots.questions_of(self.engine, self.snapshot.sha256)
        scale = rating_scale(self.engine, self.snapshot.sha256)
        asked = [
            Asked(
                id=str(row.source_id),
                text=row.question,
                answer=row.answer,
                score=scale.rating(row.score),
                user_id=row.user_id,
                month=f"{row.created_at.astimezone(UTC):%Y-%m}" if row.created_at else None,
            )
            for row in rows
        ]
        return asked, scale

    def synthetic_questions(self, limit: int | None, reference: str | None) -> Questions:
        """Return a sample of the questions that a model wrote about the snapshot's chunks.

        Raises:
            NoQuestionsError: there is no such dataset.
        """
        sha256 = self.snapshot.sha256
        found = (
            datasets.find_dataset(self.engine, reference)
            if reference
            else datasets.newest_dataset_about(self.engine, sha256, ["synthetic"])
        )
        if found is None or found.kind == "show_hide":
            what = f"dataset of questions {reference!r}" if reference else "synthetic dataset"
            raise NoQuestionsError(
                f"There is no {what} about the current snapshot ({self.snapshot.name}). "
                "Materialize synthetic_dataset, or take questions_source real."
            )
        items = datasets.items_of(self.engine, found.id)
        asked = [Asked(item.item_id, item.question, group=item.cluster) for item in items]
        chosen, population = take(asked, limit)
        return Questions(chosen, population, found.id, found.id)

    def once(
        self,
        tier: str,
        questions: Questions,
        config: Mapping[str, Any],
        measure: Callable[[], Found],
        *,
        searches: bool = True,
        version: str = VERSION,
    ) -> StoredEvaluation:
        """Return the stored evaluation of exactly these inputs, or ``measure`` and store it."""
        settings: dict[str, Any] = {
            "analysis": tier,
            "questions": questions.address,
            "seed": SEED,
            **config,
        }
        if searches:
            settings |= {
                "corpus_hash": self.snapshot.corpus_hash,
                "encoder": self.encoder_identity.key,
            }

        def measured(_: Sequence[Any]) -> Measured:
            metrics, result, cases = measure()
            counted = {**result, **_counts(questions.population)}
            return Measured(metrics, cases, n_scored=len(cases), inputs={"result": counted})

        return evaluate_one(
            _Conditions(self, questions, settings, searches),
            Task(None, tier, "metrics", (version,), version, lambda: Work([], measured)),
        )


@dataclass(frozen=True)
class _Conditions:
    """What one analysis is made under: settings of its own, so it enters no ``model_runs``."""

    analysis: Analysis
    questions: Questions
    settings: Mapping[str, Any]
    searches: bool
    retry_failed: bool = False

    @property
    def engine(self) -> Engine:
        return self.analysis.engine

    @property
    def progress(self) -> Progress:
        return self.analysis.progress

    @cached_property
    def settings_hash(self) -> str:
        return content_hash(self.settings)

    def input_hash(self, *parts: Any) -> str:
        return content_hash([self.settings_hash, *parts])

    def identity(self) -> Mapping[str, Any]:
        return {
            "settings_hash": self.settings_hash,
            "settings": self.settings,
            "embedding_model": self.analysis.encoder_identity.name if self.searches else None,
            "dataset_id": self.questions.dataset_id,
            "dump_sha256": self.analysis.snapshot.sha256,
            "dagster_run_id": self.analysis.run_id,
        }


def open_analysis(
    engine: Engine, run_id: str | None = None, progress: Progress = silent
) -> Analysis:
    """Return the analysis of the current snapshot.

    Raises:
        RagBenchError: no snapshot is current.
    """
    from rag_bench.settings import get_settings

    return Analysis(engine, get_settings(), snapshots.require_current(engine), run_id, progress)


def _counts(population: Population) -> dict[str, int]:
    return {
        "questions_in_source": population.n_all,
        "blank_questions": population.n_blank,
        "questions_sampled": population.n_sampled,
    }
