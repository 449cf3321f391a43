"""Errors that a person is meant to read, and the codes under which failed cases are counted."""

from __future__ import annotations

from enum import StrEnum


class RagBenchError(Exception):
    """An error with a message for the user: what is wrong and what to do next.

    The CLI prints it without a traceback; an asset fails with it.
    """


class DumpError(RagBenchError):
    """A dump that cannot be taken: nothing was written, the current snapshot stays."""


class ConfigurationError(RagBenchError):
    """Settings that contradict each other or name something that does not exist."""


class NotInstalledError(ConfigurationError):
    """Something optional is not installed: what needs it is not measured, the rest goes on."""


class ErrorCode(StrEnum):
    """Why a case has no score. A coded case counts in ``n_expected`` and never in ``n_scored``."""

    LLM_FAILED = "LLM_FAILED"
    TIMEOUT = "TIMEOUT"
    INVALID_INPUT = "INVALID_INPUT"
    NO_CITATIONS = "NO_CITATIONS"
    METRIC_ERROR = "METRIC_ERROR"


class Blame(StrEnum):
    """What a failed call tells of: the road to the provider, the provider, or the model alone."""

    connection = "connection"
    provider = "provider"
    model = "model"


class CaseError(RagBenchError):
    """One case failed: ``code`` is counted, ``detail`` says the cause.

    ``retryable``: no reply was got (network, limit, server fault, timeout), so that another run
    may succeed; a reply that was got and cannot be used stays as it is until asked for anew.
    ``flags``: remarks on the replies of the case up to its failure. ``blame``: what a failure to
    get a reply is about.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        retryable: bool = False,
        blame: Blame | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.blame = blame
        self.flags: tuple[str, ...] = ()
