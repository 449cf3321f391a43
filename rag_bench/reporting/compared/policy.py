"""What must hold before a release: a TOML file that says which metrics decide, and how strictly."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.paired.detectable import ALPHA
from rag_bench.evaluation.paired.words import MARGIN

if TYPE_CHECKING:
    from rag_bench.settings import Settings

Class = Literal["critical", "supporting", "advisory"]
CLASSES: tuple[Class, ...] = get_args(Class)
CannotTell = Literal["hold", "pass", "fail"]
#: Of the cases that the earlier side scored, so many must have a pair.
LEAST_PAIRED = 0.95
_OF_ALL = {"margin", "alpha", "cannot_tell", "least_paired", "higher", "lower"}


@dataclass(frozen=True)
class Policy:
    """A gate's rules.

    Attributes:
        metrics: by class; critical ones must be shown to be no worse, supporting ones must not be
            shown to be worse, advisory ones are told.
        margins: of metrics with one of their own, in their own units.
        margin: of the others, as a part of their scale.
        cannot_tell: what a critical metric that cannot be told makes of the gate.
        least_paired: least share of the earlier side's scored cases that have a pair.
        higher: metrics, not described here, of which more is better.
        lower: those of which less is better.
    """

    metrics: Mapping[Class, tuple[str, ...]]
    margins: Mapping[str, float] = field(default_factory=dict)
    margin: float = MARGIN
    alpha: float = ALPHA
    cannot_tell: CannotTell = "hold"
    least_paired: float = LEAST_PAIRED
    higher: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()


#: What decides where no file of rules is named: one confirmatory metric of tier 3.
DEFAULT_RULES = Policy({"critical": ("rubric_e2e_quality",), "supporting": (), "advisory": ()})


def rules(settings: Settings) -> Policy:
    """Return the gate's rules of these settings; raises ConfigurationError for a bad file."""
    return DEFAULT_RULES if settings.gate is None else read_policy(settings.gate)


def read_policy(path: Path) -> Policy:
    """Read a gate's file.

    Raises:
        ConfigurationError: it cannot be read, or says what cannot be; the message names the place.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    try:
        return policy_of(found)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def policy_of(found: Mapping[str, Any]) -> Policy:
    """Return the rules that a file's content says. Raises ValueError for what cannot be."""
    if unknown := sorted(found.keys() - {*CLASSES, "gate"}):
        raise ValueError(f"[{unknown[0]}] is none of gate, {', '.join(CLASSES)}")
    metrics: dict[Class, tuple[str, ...]] = {}
    margins: dict[str, float] = {}
    seen: dict[str, str] = {}
    for name in CLASSES:
        table = found.get(name, {})
        if not isinstance(table, Mapping):
            raise ValueError(f"[{name}] is no table of metrics and their margins")
        metrics[name] = tuple(table)
        for metric, margin in table.items():
            if metric in seen:
                raise ValueError(f"{metric} stands in [{seen[metric]}] and in [{name}]")
            seen[metric] = name
            if margin != "default":
                margins[metric] = _positive(f"[{name}] {metric}", margin)
    if not metrics["critical"] and not metrics["supporting"]:
        raise ValueError("no metric decides: name one in [critical]")
    return Policy(metrics, margins, **_of_all(found.get("gate", {})))


def _of_all(gate: Any) -> dict[str, Any]:
    if not isinstance(gate, Mapping):
        raise ValueError("[gate] is no table")
    if unknown := sorted(gate.keys() - _OF_ALL):
        raise ValueError(f"[gate] {unknown[0]} is none of {', '.join(sorted(_OF_ALL))}")
    read: dict[str, Any] = {}
    for name in ("margin", "alpha", "least_paired"):
        if name in gate:
            read[name] = _positive(f"[gate] {name}", gate[name])
            if read[name] > 1:
                raise ValueError(f"[gate] {name} is a share, not {gate[name]}")
    if "cannot_tell" in gate:
        if gate["cannot_tell"] not in get_args(CannotTell):
            raise ValueError(f"[gate] cannot_tell is none of {', '.join(get_args(CannotTell))}")
        read["cannot_tell"] = gate["cannot_tell"]
    for name in ("higher", "lower"):
        names = gate.get(name, [])
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            raise ValueError(f"[gate] {name} is no list of metrics")
        read[name] = tuple(names)
    if both := sorted(set(read["higher"]) & set(read["lower"])):
        raise ValueError(f"[gate] {both[0]} stands in higher and in lower: say one")
    return read


def _positive(place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
        raise ValueError(f"{place} is a positive number, not {value!r}")
    return float(value)
