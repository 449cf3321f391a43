"""Flags that every command which runs the benchmark has, each declared once.

Those of the run config are the fields of `BenchmarkFields`; those of what is measured on request
are the options that tiers declare. A command takes all of them as one parameter, `RunFlags`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from rag_bench.benchmark_fields import BenchmarkFields
from rag_bench.errors import ConfigurationError
from rag_bench.tiers import registry
from rag_bench.tiers.registry import Option

if TYPE_CHECKING:
    from rag_bench.llm.transport.budget import Budget

_PLAN = "Say what would be asked and its cost; send nothing."
_MAX_CALLS = "Stop after so many new calls; run again to go on."
_MAX_COST = "Stop before the new calls cost more (USD; needs RAG_BENCH_PRICES)."


@dataclass(frozen=True)
class Caps:
    """How much a run may ask and spend (US dollars); None: no cap."""

    calls: int | None = None
    cost_usd: float | None = None

    def budget(self) -> Budget | None:
        """Return the budget of these caps, if there is any."""
        from decimal import Decimal

        from rag_bench.llm.transport.budget import Budget

        if self.calls is None and self.cost_usd is None:
            return None
        return Budget(self.calls, None if self.cost_usd is None else Decimal(str(self.cost_usd)))


@dataclass(frozen=True)
class RunFlags:
    """What was given.

    Attributes:
        tiers: as written; `registry.parse_tiers` reads them.
        benchmark: run config of the resource ``benchmark``, field by field.
        options: names of what is asked for.
        plan: only say what would be asked.
        caps: how much may be asked and spent.
    """

    tiers: str
    benchmark: dict[str, Any]
    options: frozenset[str]
    plan: bool
    caps: Caps


def with_run_flags(
    panel: str | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the flags in place of its parameter `RunFlags`.

    ``panel``: where its help shows those of the run config.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        [taker] = [name for name, hint in hints.items() if hint is RunFlags]
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == taker:
                parameters += _flags(panel)
            else:
                parameters.append(parameter.replace(annotation=hints[parameter.name]))

        def with_flags(**given: Any) -> None:
            fields = {name: given.pop(name) for name in BenchmarkFields.model_fields}
            asked = {option.name for option in _options() if given.pop(option.name)}
            caps = Caps(given.pop("max_calls"), given.pop("max_cost"))
            plan, tier = given.pop("plan"), given.pop("tier")
            command(**{taker: RunFlags(tier, fields, frozenset(asked), plan, caps)}, **given)

        with_flags.__name__, with_flags.__doc__ = command.__name__, command.__doc__
        with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_flags.__annotations__ = {one.name: one.annotation for one in parameters}
        return with_flags

    return decorate


def _flags(panel: str | None) -> Iterator[inspect.Parameter]:
    yield _flag("tier", str, registry.ALL, help=_tiers_in_words())
    for name, field in BenchmarkFields.model_fields.items():
        yield _flag_of(name, field, panel)
    for option in _options():
        yield _flag(option.name, bool, False, help=option.help)
    yield _flag("plan", bool, False, help=_PLAN)
    yield _flag("max_calls", int | None, None, help=_MAX_CALLS, min=0)
    yield _flag("max_cost", float | None, None, help=_MAX_COST, min=0)


def _flag_of(name: str, field: FieldInfo, panel: str | None) -> inspect.Parameter:
    extra = field.json_schema_extra
    bounds = dict(extra) if isinstance(extra, dict) else {}
    # What a word may be is said in our words when the command runs.
    kind = str if get_origin(field.annotation) is Literal else field.annotation
    return _flag(name, kind, field.default, help=field.description, rich_help_panel=panel, **bounds)


def _flag(name: str, kind: Any, default: Any, **said: Any) -> inspect.Parameter:
    names = [f"--{name.replace('_', '-')}"] if kind is bool else []  # no --no-… of it
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, typer.Option(*names, **said)],
    )


def _options() -> tuple[Option, ...]:
    try:
        return registry.flags()
    except ConfigurationError:
        return ()  # an extension that cannot be loaded: said when a command runs, not by --help


def _tiers_in_words() -> str:
    try:
        return f"{', '.join(registry.names())}; a list; or {registry.ALL}."
    except ConfigurationError as error:
        return str(error)
