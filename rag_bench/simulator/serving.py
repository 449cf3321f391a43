"""How the offline models are served in this process: as the roster says, or with a fault.

Outside of a `served_as` block nothing is changed. The self-test plants faults of providers by it: a
model that was swapped behind its name, a judge that drifts, calls that fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from rag_bench.simulator.models import OfflineModel
from rag_bench.simulator.roster import Catalogue
from rag_bench.simulator.text import chance


@dataclass(frozen=True)
class Failing:
    """Calls that fail.

    Attributes:
        share: of the calls, told by their content.
        status: that they are answered with.
        attempts: so many attempts at one fail; None: all of them.
    """

    share: float
    status: int
    attempts: int | None = None

    def fails(self, call: str, attempt: int) -> bool:
        """Whether the ``attempt``-th request (from 1) for a call fails."""
        if self.attempts is not None and attempt > self.attempts:
            return False
        return chance("failing", call) < self.share


@dataclass(frozen=True)
class Serving:
    """What is served.

    Attributes:
        catalogue: the models.
        named: by a model's name, what replies name instead.
        failing: which calls fail; None: none.
        cites_if_asked: generators cite only where the prompt shows how, as models that follow
            their instructions do; the roster's cite by themselves.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    named: Mapping[str, str] = field(default_factory=dict)
    failing: Failing | None = None
    cites_if_asked: bool = False

    def with_model(self, name: str, model: OfflineModel, *, says: str | None = None) -> Serving:
        """Return it with a model behind a name; ``says``: what its replies name, if not that."""
        models = tuple(
            replace(model, name=name) if one.name == name else one for one in self.catalogue.models
        )
        named = {**self.named, **({name: says} if says else {})}
        return replace(self, catalogue=Catalogue(models), named=named)


_SERVING: ContextVar[Serving | None] = ContextVar("rag_bench_serving", default=None)


def current_serving() -> Serving:
    """Return what is served here."""
    return _SERVING.get() or Serving()


@contextmanager
def served_as(serving: Serving) -> Iterator[None]:
    """Serve this in the block; clients that are opened there are answered by it."""
    token = _SERVING.set(serving)
    try:
        yield
    finally:
        _SERVING.reset(token)
