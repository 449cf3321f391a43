"""What an evaluation and its cases are: as they are handed in, and as they are read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from rag_bench.evaluation.aggregate import is_failure
from rag_bench.hashing import content_hash

if TYPE_CHECKING:
    from sqlalchemy import Row


Kind = Literal["metrics", "answers", "scores", "ragas", "custom"]
"""What was measured: without a generation model; its answers; rubric or gate scores; RAGAS; the
metrics that a user added."""


@dataclass(frozen=True)
class Case:
    """What one question (and repeat) gave: an answer, scores, or a coded error.

    ``calls``: the ledger's rows that it rests on (``id``), what each was ``for``, under which
    ``role``, and ``how`` it was answered; None: not recorded, as before calls were.
    """

    case_id: str
    repeat: int = 0
    answer: str | None = None
    retrieved: Any = None
    citations: Any = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    error_code: str | None = None
    error_detail: str | None = None
    flags: Sequence[str] = ()
    calls: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class NewEvaluation:
    """Everything that names an evaluation; see the columns of the table."""

    tier: str
    kind: Kind
    settings_hash: str
    settings: Mapping[str, Any]
    input_hash: str
    started_at: datetime
    generation_model: str | None = None
    benchmark_judge_model: str | None = None
    production_judge_model: str | None = None
    embedding_model: str | None = None
    dataset_id: str | None = None
    dump_sha256: str | None = None
    prompt_hash: str | None = None
    code_version: str | None = None
    dagster_run_id: str | None = None
    trace_id: str | None = None
    user_id: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    # Errors that another run may not meet (network, limits, timeouts): the next run tries again.
    n_retryable: int = 0


@dataclass(frozen=True)
class StoredEvaluation:
    """A row of ``evaluation``, as far as others read it."""

    id: int
    tier: str
    kind: str
    status: str
    settings_hash: str
    generation_model: str | None
    benchmark_judge_model: str | None
    production_judge_model: str | None
    dataset_id: str | None
    input_hash: str
    metrics: Mapping[str, Any]
    errors: Mapping[str, int]
    finished_at: datetime | None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = False

    @property
    def version(self) -> str:
        """The address of what was found: equal for equal results of equal inputs, on any machine.

        Of an evaluation stored before `outcome_hash` was, it is the one that was recorded then.
        """
        outcome = self.inputs.get("outcome_hash")
        found = self.metrics if outcome is None else outcome
        return content_hash([self.input_hash, found, self.errors])

    @property
    def needs_retry(self) -> bool:
        """Whether cases are missing that another run may get."""
        return bool(self.inputs.get("n_retryable"))

    @property
    def flags(self) -> Mapping[str, int]:
        """How many cases carry each remark; empty for those stored before remarks were counted."""
        return self.inputs.get("flags") or {}

    @property
    def n_errors(self) -> int:
        """How many cases ended without a result; an answer without citations is one with."""
        return sum(n for code, n in self.errors.items() if is_failure(code))


def stored(row: Row[Any], *, reused: bool = False) -> StoredEvaluation:
    names = (
        *("id", "tier", "kind", "status", "settings_hash", "generation_model"),
        *("benchmark_judge_model", "production_judge_model", "dataset_id", "input_hash"),
        *("metrics", "errors", "finished_at", "inputs"),
    )
    return StoredEvaluation(**{name: getattr(row, name) for name in names}, reused=reused)
