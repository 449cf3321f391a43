"""What a tab is given: the store, who looks, what is to be seen, in which words."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from rag_bench.access.scopes import Scope
from rag_bench.errors import RagBenchError
from rag_bench.store import evaluations

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.dashboard.address import View
    from rag_bench.dashboard.words import Words
    from rag_bench.reporting.leaderboard import Leaderboard
    from rag_bench.settings import Settings

T = TypeVar("T")
# Of ten models a role a board is a few megabytes, everything else less.
_KEPT = 64


@dataclass(frozen=True)
class Viewer:
    """Who looks. Behind the API: the key's owner; on one's own machine nobody is asked.

    ``unmasked``: may see users' words as they are. ``trace_id``: of the request, for the audit.
    """

    user_id: str | None = None
    scopes: frozenset[Scope] = frozenset({Scope.READ})
    unmasked: bool = False
    key_id: str | None = None
    trace_id: str = ""


class Kept:
    """What was made of the store, until something is measured: boards, comparisons."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Hashable, ...], Future[Any]] = OrderedDict()

    def of(
        self, engine: Engine, make: Callable[..., T], *given: Hashable, there: Hashable = None
    ) -> T:
        """Return ``make(engine, *given)``, made anew when something was measured or deleted since.

        A tab asks by `Context.keep`, which looks only once for what is new. Two who ask for one
        thing at once wait for one making; who asks for another does not wait. What fails is not
        kept.
        """
        key = (make, *given, evaluations.what_is_there(engine) if there is None else there)
        with self._lock:
            found: Future[T] | None = self._kept.get(key)
            mine = found is None
            if found is not None:
                self._kept.move_to_end(key)
            if found is None:
                found = self._kept[key] = Future()
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        if mine:
            try:
                found.set_result(make(engine, *given))
            except BaseException as error:
                with self._lock:
                    self._kept.pop(key, None)
                found.set_exception(error)
        return found.result()


@dataclass(frozen=True)
class Context:
    """One look at one view."""

    engine: Engine
    settings: Settings
    view: View
    words: Words
    viewer: Viewer
    kept: Kept
    dagster_url: str = ""

    @cached_property
    def there(self) -> tuple[int, int]:
        """By which is told whether something was measured or deleted since."""
        return evaluations.what_is_there(self.engine)

    @cached_property
    def newest_label(self) -> int:
        """The newest label that a person gave."""
        from rag_bench.store.labels.labels import newest_label_id

        return newest_label_id(self.engine)

    def keep(self, make: Callable[..., T], *given: Hashable) -> T:
        """Return ``make(engine, *given)``: what is more than a query, kept until something is
        measured or deleted.
        """
        return self.kept.of(self.engine, make, *given, there=self.there)

    @cached_property
    def measured(self) -> Sequence[evaluations.MeasuredSettings]:
        """The settings under which models were measured, newest first."""
        return self.keep(evaluations.MeasuredSettings.newest_first)

    @cached_property
    def settings_hash(self) -> str | None:
        """The settings that are shown: those of the address, else the newest whole ones."""
        wanted = self.view.get("settings")
        found = next((one for one in self.measured if one.settings_hash.startswith(wanted)), None)
        if wanted and found is not None:
            return found.settings_hash
        whole = [one for one in self.measured if one.limit is None]
        return next((one.settings_hash for one in whole or self.measured), None)

    @property
    def settings_lost(self) -> bool:
        """Whether the address names settings that nothing was measured under."""
        wanted = self.view.get("settings")
        return bool(wanted) and not any(
            one.settings_hash.startswith(wanted) for one in self.measured
        )

    @cached_property
    def board(self) -> Leaderboard | None:
        """The leaderboard of the shown settings; None where no model was measured."""
        from rag_bench.reporting import leaderboard

        if self.settings_hash is None:
            return None
        try:
            return self.keep(leaderboard.build, self.settings_hash)
        except RagBenchError:
            return None
