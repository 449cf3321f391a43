"""What a run of the service measures, decided before it begins and stored with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunConfig:
    """A request after everything in it was looked up; ``eval_run.config`` as JSON.

    Attributes:
        eval_types: of ``ragas``, ``rubric``, ``retrieval``, in this order.
        metrics: further ones, by their names here (`rag_bench.evaluation.catalogue`).
        generation_model: key of a model, a target or another answer source; None: every case
            brings its answer.
        judge_model: key of a benchmark judge; None: nothing asks one.
        retriever: its name.
        dataset_id: the stored dataset that was named; None: the cases were sent.
        dump_sha256: the snapshot that client's chunk ids were resolved against; None: nothing is
            loaded, and every case brings its contexts.
    """

    eval_types: tuple[str, ...]
    metrics: tuple[str, ...]
    generation_model: str | None
    judge_model: str | None
    retriever: str
    top_k: int
    contexts_per_answer: int
    dataset_id: str | None
    dump_sha256: str | None

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**own, "eval_types": list(self.eval_types), "metrics": list(self.metrics)}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> RunConfig:
        """Return what was stored; fields of later versions are passed over."""
        known = {name: stored[name] for name in cls.__dataclass_fields__}
        known["eval_types"], known["metrics"] = tuple(known["eval_types"]), tuple(known["metrics"])
        return cls(**known)
