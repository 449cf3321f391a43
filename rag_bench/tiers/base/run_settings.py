"""The settings of a run that its numbers depend on, and their hash.

Evaluations meet in ``model_runs`` only under one settings hash, so a smoke run on ten questions
never mixes with a full one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from rag_bench.hashing import content_hash
from rag_bench.retrievers import DEFAULT, NAME_IN_SETTINGS, name_in

Tier = Literal["2", "3"]
JudgeEvalMode = Literal["direct", "reasoned"]
#: Marks, in stored settings, what was made to tell causes apart.
CORNER = "corner"


#: Two hashes side by side tell nobody what happened.
_IN_WORDS = {
    "dataset_id": "questions of another dataset",
    "corpus_hash": "texts of another dump",
    "encoder": "another encoder",
    "prompt_hash": "other prompts",
}
#: What follows from the retriever, and its name, which is shown and not hashed.
_OF_RETRIEVER = ("retriever", NAME_IN_SETTINGS, "search")


@dataclass(frozen=True)
class RunSettings:
    """What a run measures, as given by the user and resolved against the store.

    ``corpus_hash`` names the set of chunks searched: not the dump, so that a reindexed dump
    (same texts, new ids) leaves all results valid. ``encoder`` is the key of the encoder.

    Attributes:
        search: how chunks are found, in the words of `rag_bench.searches`.
        retrieval_threshold: least score of a chunk given to a generator; None: there is none.
        tier3_all_rubrics: tier 3 is scored by tier 2's three rubrics as well.
        cached_answers: in tier 3 a question close to one that users rated 5 gets that answer, as
            in production, and no model is asked.
        pairs: id of labelled pairs that were named, of whatever snapshot; None: the snapshot's own.
        cache_threshold: least cosine similarity of such a question; also what tier ux counts by.
        retriever: content of the retriever; None: it is ``default``, which the other fields say.
        retriever_name: what it is called; shown, and no part of the hash.
        replicate: the number of the first repeat, of answers that are asked for anew.
        only: hash of the ids of the only questions that are measured; None: all up to the limit.
        corner: made to tell causes apart, so it is shown nowhere by itself; no part of the hash.
    """

    dataset_id: str
    limit: int | None
    top_k: int
    search: str
    contexts_per_answer: int
    retrieval_threshold: float | None
    consistency_runs: int
    judge_eval_mode: JudgeEvalMode
    tier3_all_rubrics: bool
    cached_answers: bool
    cache_threshold: float
    corpus_hash: str
    encoder: str
    prompt_hash: str
    pairs: str | None = None
    retriever: Mapping[str, Any] | None = None
    retriever_name: str = DEFAULT
    replicate: int = 0
    only: str | None = None
    corner: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the settings as they are stored beside each evaluation."""
        found = asdict(self)
        # As before there was a choice: settings without one keep their hash.
        if self.pairs is None:
            del found["pairs"]
        if self.retriever is None:
            del found["retriever"], found[NAME_IN_SETTINGS]
        for name, unset in (("replicate", 0), ("only", None), ("corner", False)):
            if found[name] == unset:
                del found[name]
        return found

    @cached_property
    def hash(self) -> str:
        """The address of these settings."""
        return content_hash(_hashed(self.as_json()))

    def differences(self, other: dict[str, Any]) -> str:
        """Say in words how another run's settings differ from these."""
        mine = {**dict.fromkeys(other), **self.as_json()}
        parts = []
        if other.get("retriever") != mine.get("retriever"):
            theirs = name_in(other)
            said = f"the retriever {theirs!r} instead of {self.retriever_name!r}"
            if theirs == self.retriever_name:
                said = f"the retriever {theirs!r} as it was declared before"
            parts.append(said)
            mine = {name: value for name, value in mine.items() if name not in _OF_RETRIEVER}
        mine.pop(NAME_IN_SETTINGS, None)
        parts += [
            _IN_WORDS.get(name, f"{name} {other.get(name)!r} instead of {value!r}")
            for name, value in mine.items()
            if other.get(name) != value
        ]
        return "; ".join(parts) or "nothing"

    def only_corpus_differs(self, other: dict[str, Any]) -> bool:
        """Whether another run had these settings, on the texts of another dump.

        A dataset names texts, so it may be another one as well.
        """
        mine, theirs = _hashed(self.as_json()), _hashed(other)
        unlike = {
            name for name in mine.keys() | theirs.keys() if theirs.get(name) != mine.get(name)
        }
        return "corpus_hash" in unlike and unlike <= {"corpus_hash", "dataset_id"}


def is_same(settings: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two settings, as they are stored, have one address: names are no part of it."""
    return _hashed(settings) == _hashed(other)


def _hashed(settings: Mapping[str, Any]) -> dict[str, Any]:
    shown = (NAME_IN_SETTINGS, CORNER)
    return {name: value for name, value in settings.items() if name not in shown}
