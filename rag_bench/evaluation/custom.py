"""Metrics that users add: their names, and what may come out of one; pure.

A metric gives, for one case, a number, several numbers by key, or None (it does not apply).
Anything else is an error of that case, never a score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.catalogue import known
from rag_bench.evaluation.metrics import source_analytics
from rag_bench.evaluation.types import Scale

SETTING = "RAG_BENCH_CUSTOM_METRICS"
#: What a metric may ask for, by the names of its parameters.
FIELDS = ("question", "answer", "reference_answer", "contexts", "language")
#: Families of ours: a name that begins so would be taken for one of them.
RESERVED = ("bertscore_", "judge_", "ragas_", "reasoning_", "rubric_", "tier_")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_KEY = re.compile(r"[A-Za-z0-9_@.\-]{1,64}")


@dataclass(frozen=True)
class CustomMetric:
    """A loaded metric.

    Attributes:
        name: Under which it is published, alone or before ``_<key>``.
        target: As the settings name it.
        source_hash: Of the files that it is made of.
        call: Takes all fields of a case by name; gives a result, or an awaitable of one.
        needs_reference: Without a reference answer it does not apply.
        scale: What it declares as its least and greatest value, if it does.
    """

    name: str
    target: str
    source_hash: str
    call: Callable[[Mapping[str, Any]], Any]
    needs_reference: bool = False
    scale: Scale | None = None


@dataclass(frozen=True)
class Outcome:
    """What a metric gave for one case.

    ``scores``: {published name: finite value}. ``not_applicable``: published names that this case
    cannot have; ``applies`` is False when it can have none. ``error``: what went wrong, in words;
    scores beside it are good.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    not_applicable: frozenset[str] = frozenset()
    applies: bool = True
    error: str | None = None


NOT_APPLICABLE = Outcome(applies=False)


def parse_metrics(text: str) -> dict[str, str]:
    """Return {name: target} of the setting: ``name=target``, separated by commas or semicolons.

    Raises:
        ConfigurationError: no such form, a name that is not valid, given twice, or one of ours.
    """
    found: dict[str, str] = {}
    for part in re.split(r"[,;]", text):
        if not part.strip():
            continue
        name, separator, target = (piece.strip() for piece in part.partition("="))
        if not separator or not name or not target:
            raise ConfigurationError(
                f"{SETTING}: {part.strip()!r} is not of the form name=target, as in "
                "length=my_package.metrics:length"
            )
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{SETTING}: {name!r} cannot be a metric's name: a letter, then letters (a to z), "
                "digits and underscores, 64 at most."
            )
        if problem := name_problem(name):
            raise ConfigurationError(f"{SETTING}: {problem} Choose another name.")
        if name in found:
            raise ConfigurationError(f"{SETTING}: the name {name!r} is given twice.")
        found[name] = target
    return found


def name_problem(name: str) -> str | None:
    """Say why a metric of the user's cannot be published under a name; None if it can."""
    # Analytics of the source stand nowhere beside what is measured of answers.
    if (entry := known(name)) and not set(entry.tiers) <= set(source_analytics.TIERS):
        return f"{name!r} is the name of a metric of rag_bench."
    if prefix := next((prefix for prefix in RESERVED if name.startswith(prefix)), None):
        return f"{name!r} begins with {prefix!r}, which is kept for rag_bench's own metrics."
    return None


def read_result(
    name: str, result: Any, *, scale: Scale | None = None, taken: Collection[str] = ()
) -> Outcome:
    """Return what a metric's result means: a number, {key: number or None}, or None.

    Keys are published as ``<name>_<key>``; ``taken`` are names that other metrics have. A bool
    counts as 1 or 0. What is not a finite number within ``scale`` is an error.
    """
    if result is None:
        return NOT_APPLICABLE
    if not isinstance(result, Mapping):
        value, problem = _number(result, scale)
        return Outcome(error=problem) if value is None else Outcome({name: value})
    scores: dict[str, float] = {}
    absent: set[str] = set()
    problems: list[str] = [] if result else ["it gave no value at all: an empty dict"]
    for key, given in result.items():
        published = f"{name}_{key}"
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            problems.append(f"{_short(key)} cannot be a key")
        elif problem := name_problem(published):
            problems.append(problem)
        elif published in taken:
            problems.append(f"{published!r} is the name of another metric.")
        elif given is None:
            absent.add(published)
        else:
            value, wrong = _number(given, scale)
            if value is None:
                problems.append(f"{key}: {wrong}")
            else:
                scores[published] = value
    return Outcome(scores, frozenset(absent), error="; ".join(problems) or None)


def module_result(output: Any, key: str | None) -> Any:
    """Return the result of a metric module of HuggingFace's in the form that a function gives.

    ``output`` is the dict that ``compute`` returned for one case. With ``key`` its value is the
    score; without, the only number, or all numbers by their keys. A list of one is its element
    (such modules return a value per case); other entries (signatures, n-gram counts) are no score.

    Raises:
        ValueError: no such key, or nothing in it is a number.
    """
    if not isinstance(output, Mapping):
        return output
    flat = {name: _only(value) for name, value in output.items()}
    keys = ", ".join(map(str, output)) or "nothing"
    if key is not None:
        if key not in flat:
            raise ValueError(f"it gave no {key!r}, but: {keys}")
        return flat[key]
    numbers = {name: value for name, value in flat.items() if _is_number(value)}
    if not numbers:
        raise ValueError(f"it gave no number, but: {keys}")
    return next(iter(numbers.values())) if len(numbers) == 1 else numbers


@dataclass(frozen=True)
class Settled:
    """A metric's outcomes made whole over all cases: every case has, lacks by right, or misses
    each of the ``names`` that the metric gave.
    """

    names: tuple[str, ...]
    outcomes: Mapping[str, Outcome]


def settle(name: str, outcomes: Mapping[str, Outcome]) -> Settled:
    """Return a metric's published names and the outcomes (by case) with respect to all of them.

    A key that a case leaves out though other cases have it is missing there, with an error: it is
    not known whether it did not apply, which None would have said.
    """
    found: set[str] = set()
    for outcome in outcomes.values():
        found |= outcome.scores.keys() | outcome.not_applicable
    names = tuple(sorted(found)) or (name,)
    whole: dict[str, Outcome] = {}
    for case, outcome in outcomes.items():
        if not outcome.applies:
            whole[case] = Outcome(not_applicable=frozenset(names), applies=False)
            continue
        left_out = sorted(set(names) - outcome.scores.keys() - outcome.not_applicable)
        error = outcome.error
        if left_out and error is None:
            error = f"it gave no {', '.join(left_out)}, which it gave for other cases"
        whole[case] = Outcome(outcome.scores, outcome.not_applicable, True, error)
    return Settled(names, whole)


def failure_words(error: BaseException) -> str:
    """Return an exception's own words on one line, with its kind."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _is_number(value: Any) -> bool:
    # numpy's bool is no Real, and what a comparison of arrays gives.
    return isinstance(value, Real) or type(value).__name__ in ("bool", "bool_")


def _number(value: Any, scale: Scale | None) -> tuple[float | None, str | None]:
    """Return the finite number that a value is, or why it is none."""
    if not _is_number(value):
        return None, f"it gave {_short(value)}, which is no number"
    try:
        number = float(value)
    except OverflowError:
        return None, f"it gave {_short(value)}, which is too great"
    if not math.isfinite(number):
        return None, f"it gave {number}, which is no finite number"
    if scale is not None and not scale[0] <= number <= scale[1]:
        return None, f"it gave {number:g}, which is not within its scale {scale[0]:g}…{scale[1]:g}"
    return number, None


def _only(value: Any) -> Any:
    """Return the element of a list (or array) of one; else the value itself."""
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        return value
    return value[0] if len(value) == 1 else value


def _short(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:59] + '…'}"
