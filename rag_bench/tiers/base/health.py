"""Whom of a provider's models it is of use to ask still: failures in a row, by model.

One bad model (misspelt, not in the plan, a parameter that it refuses) must not stop the good ones
beside it, and a dead provider must not be asked a thousand times. So:

* A model is given up after `GIVE_UP_AFTER` failed calls in a row of its own.
* A provider is given up after as many in a row that tell of the provider (5xx, timeouts, a refused
  key) and of at least `_SEVERAL` of its models, or of all that are asked; or that tell of no
  connection at all.
* While a provider, or a model, has not answered yet, or has failed `_CALM` times in a row, at most
  `_CALM` of its calls are in flight, and the model that failed least goes first. After those first
  failures, each with all its retries, calls are not retried any more.

So a provider that never answers gets `GIVE_UP_AFTER` calls, the first `_CALM` of them with their
retries. One that dies at work gets, besides, what was in flight at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rag_bench.errors import Blame, CaseError, ErrorCode
from rag_bench.llm.transport.budget import CapReachedError
from rag_bench.llm.transport.context import Watch
from rag_bench.llm.transport.stopping import StoppedError

#: After so many failed calls in a row without one success nobody is asked again.
GIVE_UP_AFTER = 25
#: So many calls find out whether there is an answer at all.
_CALM = 5
_SEVERAL = 3
#: How the detail of a case begins that was not asked; what follows are the words of the last one.
NOT_ASKED = f"not asked after {GIVE_UP_AFTER} failures in a row, the last: "


@dataclass
class ModelHealth:
    """One model's calls; ``failed``: in a row; ``recalled``: what the ledger answered since."""

    proven: bool = False
    failed: int = 0
    recalled: int = 0
    running: int = 0
    given_up: CaseError | None = None

    @property
    def in_trouble(self) -> bool:
        """Whether it has not answered yet, or not for a while."""
        return not self.proven or self.failed >= _CALM

    @property
    def full(self) -> bool:
        """Whether a call more would be one too many."""
        return self.in_trouble and self.running >= _room(self.failed, self.recalled)


@dataclass
class ProviderHealth:
    """One provider's models, by name; all that will be asked are there from the start."""

    models: dict[str, ModelHealth]
    proven: bool = False
    given_up: CaseError | None = None
    _failed: int = 0
    _unreached: int = 0
    _recalled: int = 0
    _failed_models: set[str] = field(default_factory=set)

    @property
    def in_trouble(self) -> bool:
        """Whether it has not answered yet, or not for a while."""
        return not self.proven or self._failed >= _CALM

    def is_full(self, model: str) -> bool:
        """Whether a call more of this model would be one too many."""
        if self.in_trouble:
            running = sum(one.running for one in self.models.values())
            if running >= _room(self._failed, self._recalled):
                return True
        return self.models[model].full

    def failures_that_count(self, model: str) -> int:
        """Return a model's failures in a row, 0 where they are few and its provider is well."""
        failed = self.models[model].failed
        return failed if self.in_trouble or failed >= _CALM else 0

    def why_not(self, model: str) -> CaseError | None:
        """Return the error of a case of this model that would have to be asked, if it is not."""
        return self.given_up or self.models[model].given_up

    def may_retry(self, model: str) -> bool:
        """Whether a failed attempt of this model is worth another."""
        return self.models[model].failed < _CALM and self._failed < _CALM

    def note(self, model: str, result: object, watch: Watch) -> None:
        """Learn from what a job ended with."""
        own = self.models[model]
        not_asked = result is not None and result is self.why_not(model)
        if not_asked or isinstance(result, CapReachedError | StoppedError):
            return  # it was not asked, so it says nothing about the provider
        if isinstance(result, CaseError) and result.retryable:
            self._note_failure(model, result)
        elif watch.answered or not (watch.recalled or isinstance(result, CaseError)):
            own.proven = self.proven = True
            own.failed = self._failed = self._unreached = 0
            self._failed_models.clear()
        elif watch.recalled:
            own.recalled += 1
            self._recalled += 1

    def _note_failure(self, model: str, error: CaseError) -> None:
        own = self.models[model]
        own.failed += 1
        own.recalled = self._recalled = 0
        if own.failed >= GIVE_UP_AFTER and own.given_up is None:
            own.given_up = _given_up(error)
        if error.blame is Blame.model:
            self._unreached = 0
            return
        self._failed += 1
        self._unreached = self._unreached + 1 if error.blame is Blame.connection else 0
        self._failed_models.add(model)
        several = len(self._failed_models) >= min(_SEVERAL, len(self.models))
        if self._unreached >= GIVE_UP_AFTER or (several and self._failed >= GIVE_UP_AFTER):
            self.given_up = self.given_up or _given_up(error)


def _room(failed: int, recalled: int) -> int:
    """Return how many jobs may be under way after so many failures: first the few whose calls are
    retried, then so many that all together come to no more than are given up after. What the
    ledger answers need not wait for anybody, so each such job makes room for another.
    """
    if failed < _CALM:
        return _CALM - failed + recalled
    return max(1, min(_CALM, GIVE_UP_AFTER - failed)) + recalled


def _given_up(last: CaseError) -> CaseError:
    return CaseError(
        ErrorCode.LLM_FAILED, f"{NOT_ASKED}{last.detail}; run again later", retryable=True
    )
