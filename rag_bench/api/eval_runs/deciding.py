"""Whether a request waits for its run, for how long, who executes it, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rag_bench.eval_runs.intake.estimating import Estimate
    from rag_bench.settings import Settings

Mode = Literal["sync", "async"]


@dataclass(frozen=True)
class Preferences:
    """Of the header `Prefer`. ``wait``: seconds; None: not said."""

    wait: int | None = None
    respond_async: bool = False


def preferences(headers: Iterable[str]) -> Preferences:
    """Return what is preferred; what is not known or makes no sense is passed over, as is meant."""
    wait: int | None = None
    respond_async = False
    for one in ",".join(headers).split(","):
        name, _, value = one.partition(";")[0].partition("=")
        name, value = name.strip().lower(), value.strip().strip('"')
        if name == "respond-async":
            respond_async = True
        elif name == "wait" and wait is None and value.isascii() and value.isdecimal():
            wait = int(value[:9])
    return Preferences(wait, respond_async)


@dataclass(frozen=True)
class Decision:
    """What was decided.

    Attributes:
        reason: why, in a sentence for the client.
        wait: seconds; 0: not at all.
        applied: the preferences that were followed, for `Preference-Applied`.
    """

    mode: Mode
    reason: str
    place: Literal["service", "dagster"]
    wait: float
    applied: tuple[str, ...] = ()


def decide(
    n_cases: int,
    preferred: Preferences,
    wanted: Mode | None,
    estimate: Callable[[], Estimate],
    settings: Settings,
) -> Decision:
    """Decide of a run.

    Args:
        n_cases: of the run.
        preferred: by the header; where the field says something else, that counts.
        wanted: the request's field ``mode``.
        estimate: says how long the run will take, asked only where that decides.
        settings: the limits.
    """
    most = settings.eval_wait_seconds
    if n_cases > settings.eval_wait_most_cases:
        reason = f"More than {settings.eval_wait_most_cases} cases are never waited for."
        return Decision("async", reason, "dagster", 0.0, _followed(preferred, wanted, 0.0))
    is_short, why = True, f"Up to {settings.eval_wait_cases} cases are waited for."
    if n_cases > settings.eval_wait_cases:
        found = estimate()
        is_short = found.seconds <= most
        than = "less" if is_short else "more"
        about = f"This takes about {found.seconds:.0f} s{found.in_words()}"
        why = f"{about}, {than} than {most:g} s."
    place: Literal["service", "dagster"] = "service" if is_short else "dagster"
    if wanted == "async":
        return Decision("async", "The request says so.", place, 0.0)
    if wanted == "sync":
        return Decision("sync", "The request says so.", "service", most)
    if preferred.wait is not None:
        wait = min(float(preferred.wait), most)
        mode: Mode = "sync" if wait else "async"
        reason = f"The client prefers to wait {preferred.wait} s; {most:g} s are the most."
        return Decision(mode, reason, place, wait, _followed(preferred, wanted, wait))
    if preferred.respond_async:
        reason = "The client prefers not to wait."
        return Decision("async", reason, place, 0.0, ("respond-async",))
    return Decision("sync" if is_short else "async", why, place, most if is_short else 0.0)


def _followed(preferred: Preferences, wanted: Mode | None, wait: float) -> tuple[str, ...]:
    if wanted is not None:
        return ()
    followed = ("respond-async",) if preferred.respond_async else ()
    return (*followed, f"wait={wait:g}") if wait and preferred.wait is not None else followed
