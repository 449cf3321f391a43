"""The settings of a run that its numbers depend on, and their hash.

Evaluations meet in ``model_runs`` only under one settings hash, so a smoke run on ten questions
never mixes with a full one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rag_bench.hashing import content_hash
from rag_bench.searches import Search

Tier = Literal["2", "3"]
JudgeEvalMode = Literal["direct", "reasoned"]


#: Two hashes side by side tell nobody what happened.
_IN_WORDS = {
    "dataset_id": "questions of another dataset",
    "corpus_hash": "texts of another dump",
    "encoder": "another encoder",
    "prompt_hash": "other prompts",
}


@dataclass(frozen=True)
class RunSettings:
    """What a run measures, as given by the user and resolved against the store.

    ``corpus_hash`` names the set of chunks searched: not the dump, so that a reindexed dump
    (same texts, new ids) leaves all results valid. ``encoder`` is the key of the encoder.

    Attributes:
        tier3_all_rubrics: tier 3 is scored by tier 2's three rubrics as well.
        cached_answers: in tier 3 a question close to one that users rated 5 gets that answer, as
            in production, and no model is asked.
        pairs: id of labelled pairs that were named, of whatever snapshot; None: the snapshot's own.
        cache_threshold: least cosine similarity of such a question; also what tier ux counts by.
    """

    dataset_id: str
    limit: int | None
    top_k: int
    search: Search
    contexts_per_answer: int
    retrieval_threshold: float
    consistency_runs: int
    judge_eval_mode: JudgeEvalMode
    tier3_all_rubrics: bool
    cached_answers: bool
    cache_threshold: float
    corpus_hash: str
    encoder: str
    prompt_hash: str
    pairs: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the settings as they are stored beside each evaluation."""
        # As before there was a choice: settings without one keep their hash.
        return {k: v for k, v in asdict(self).items() if k != "pairs" or v is not None}

    @property
    def hash(self) -> str:
        """The address of these settings."""
        return content_hash(self.as_json())

    def differences(self, other: dict[str, Any]) -> str:
        """Say in words how another run's settings differ from these."""
        mine = {**dict.fromkeys(other), **self.as_json()}
        parts = [
            _IN_WORDS.get(name, f"{name} {other.get(name)!r} instead of {value!r}")
            for name, value in mine.items()
            if other.get(name) != value
        ]
        return "; ".join(parts) or "nothing"

    def only_corpus_differs(self, other: dict[str, Any]) -> bool:
        """Whether another run had these settings, on the texts of another dump.

        A dataset names texts, so it may be another one as well.
        """
        mine = self.as_json()
        unlike = {name for name, value in mine.items() if other.get(name) != value}
        return "corpus_hash" in unlike and unlike <= {"corpus_hash", "dataset_id"}
