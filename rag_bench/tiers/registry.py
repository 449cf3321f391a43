"""Tiers, each declared once: what is measured, of which models, by what, and how it is shown.

From these descriptions follow the assets, jobs, weekly schedules, stages of a sweep, ``--tier``,
the plan, the edges of `model_runs` and the tiers that a report names. It is data: nothing heavy is
imported, as the definitions and every command need it to load. A tier is a module in
`rag_bench.tiers.declared`, or in the folder ``tiers`` of an extension, with one `TierSpec` named
``TIER``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rag_bench import extensions
from rag_bench.errors import ConfigurationError
from rag_bench.tiers.stages import FIXED, Stage

if TYPE_CHECKING:
    from rag_bench.settings import Settings
    from rag_bench.store.evaluations import Kind, StoredEvaluation
    from rag_bench.tiers.base.bench import Bench

ALL = "all"
#: The asset of labelled pairs.
PAIRS = "show_hide_dataset"
_NAME = re.compile(r"[a-z0-9_]+")


class Axis(StrEnum):
    """Which models, or retrievers, a step has a cell, and its asset a partition, for."""

    NONE = "none"
    GENERATOR = "generation model"
    JUDGE = "benchmark judge"
    GATE = "production judge"
    PAIR = "generation model and benchmark judge"
    RETRIEVER = "retriever"


@dataclass(frozen=True)
class Option:
    """What is measured only if it is asked for.

    Attributes:
        name: the flag of the commands is ``--<name>``, with dashes.
        help: what the flag does.
        by_settings: ``module:function`` that says, of the settings, whether it is asked for; there
            is no flag then.
    """

    name: str
    help: str
    by_settings: str = ""


@dataclass(frozen=True)
class Step:
    """One asset of a tier: one kind of evaluation, for each of its models.

    Functions are named, ``module:function``, and imported when they are needed.

    Attributes:
        asset: its name.
        kind: of its records; with the tier and the models it tells them from all others.
        work: gets the bench, the open client (None if no model is asked), the step and the keys of
            the run (models, pairs of models, or one None); returns what there is to do for each:
            `Task`, `Nothing` or `Blocked` of `rag_bench.tiers.base.evaluate`.
        version: of the code. A part of the address of results: raised, all are measured anew, of
            the replies that the ledger has.
        stage: when it runs, and with which others; those of a stage have one axis.
        description: what is measured; shown by the UI.
        by: the models, or retrievers, that it is measured for.
        reads: names of the assets that it is made from.
        pays: models are asked.
        asks_if: ``module:function`` that says, of a bench and the run's keys, whether a service is
            asked for them. By default none is, so the step counts as free.
        prompts: files that its results depend on; a change shows as a new code version.
        rubrics: it asks the rubrics of its tier, so it depends on their prompts as well.
        texts: function that returns the hash of texts which are sent and in no file of ours.
        checks: functions that make a `StepCheck` of the step.
        kinds: badges in the graph.
        option: only if that is asked for; None: always.
        shows: function that returns metadata for the UI beside the metrics, of the bench that was
            measured on and the evaluation.
        instrument: results of this name are comparable only if they were made with the same
            dataset, sample and prompts, as far as these are not in the settings hash.
        tier: set by the tier that it is part of, like ``group``.
    """

    asset: str
    kind: Kind
    work: str
    version: str
    stage: Stage
    description: str
    by: Axis = Axis.NONE
    reads: tuple[str, ...] = ()
    pays: bool = True
    asks_if: str = ""
    prompts: tuple[str, ...] = ()
    rubrics: bool = False
    texts: str = ""
    checks: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("postgres", "openai")
    option: Option | None = None
    shows: str = ""
    instrument: str = ""
    tier: str = ""
    group: str = ""

    @property
    def may_ask(self) -> bool:
        """Whether anybody is asked under any settings, so that it needs an open client."""
        return self.pays or bool(self.asks_if)

    def asks(self, bench: Bench, keys: Sequence[Any]) -> bool:
        """Whether anybody is asked for these keys under a bench's settings."""
        return self.pays or bool(self.asks_if and resolve(self.asks_if)(bench, keys))

    def named_prompts(self) -> tuple[str, ...]:
        """Return all prompt files that its results depend on."""
        if not self.rubrics:
            return self.prompts
        from rag_bench.tiers.base.asked_rubrics import rubric_prompts

        return (*self.prompts, *rubric_prompts(self.tier))

    def code_version(self) -> str:
        """Return the version of all that its results depend on in this code: prompts, too, and
        metrics of answers that ``version`` does not count.
        """
        from rag_bench.evaluation.catalogue import added_versions
        from rag_bench.hashing import content_hash
        from rag_bench.llm.tasks.prompts import prompt_hash

        hashes = [prompt_hash(named)] if (named := self.named_prompts()) else []
        hashes += [resolve(self.texts)()] if self.texts else []
        if self.kind == "answers" and (added := added_versions(self.tier)):
            hashes.append(content_hash(added))
        if not hashes:
            return self.version
        return f"{self.version}-{(hashes[0] if len(hashes) == 1 else content_hash(hashes))[:12]}"


@dataclass(frozen=True)
class TierSpec:
    """A tier: what ``--tier`` calls it, the group of its assets, and its steps in their order."""

    name: str
    group: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        told = tuple(replace(step, tier=self.name, group=self.group) for step in self.steps)
        object.__setattr__(self, "steps", told)


def tiers() -> tuple[TierSpec, ...]:
    """Return all tiers, those of the named extensions included, by name.

    Raises:
        ConfigurationError: an extension that cannot be loaded, or tiers that contradict each other.
    """
    return _tiers(extensions.named())


@lru_cache(maxsize=8)
def _tiers(_named: tuple[str, ...]) -> tuple[TierSpec, ...]:
    found: list[TierSpec] = []
    for module in extensions.modules("tiers.declared"):
        tier = getattr(module, "TIER", None)
        if not isinstance(tier, TierSpec):
            raise ConfigurationError(f"{module.__file__} declares no tier: TIER is no TierSpec.")
        found.append(tier)
    found.sort(key=lambda tier: tier.name)
    _check(found)
    return tuple(found)


def names() -> tuple[str, ...]:
    """Return what ``--tier`` may name beside ``all``."""
    return tuple(tier.name for tier in tiers())


def steps(
    chosen: Collection[str] | None = None, options: Collection[str] | None = None
) -> Iterator[Step]:
    """Return steps in the order of their stages, then of their tiers.

    Args:
        chosen: only of these tiers.
        options: only what is always measured, or asked for by one of these names; None: all.
    """
    every = [step for tier in tiers() for step in tier.steps]
    for step in sorted(every, key=lambda step: step.stage.at):
        asked = options is None or step.option is None or step.option.name in options
        if asked and (chosen is None or step.tier in chosen):
            yield step


def step_named(asset: str) -> Step:
    """Return the step of an asset; an unknown name is a programming error (`KeyError`)."""
    return {step.asset: step for step in steps()}[asset]


def stages() -> list[Stage]:
    """Return all stages in their order."""
    found = dict.fromkeys([*FIXED, *(step.stage for step in steps())])
    return sorted(found, key=lambda stage: stage.at)


def options() -> tuple[Option, ...]:
    """Return what may be asked for, in the order of the steps."""
    return tuple(dict.fromkeys(step.option for step in steps() if step.option))


def flags() -> tuple[Option, ...]:
    """Return the options that a command has a flag for."""
    return tuple(option for option in options() if not option.by_settings)


def asked_by_settings(settings: Settings) -> frozenset[str]:
    """Return the names of the options that the settings ask for."""
    return frozenset(
        option.name
        for option in options()
        if option.by_settings and resolve(option.by_settings)(settings)
    )


def is_of_generators(tier: str) -> bool:
    """Whether a tier measures generation models, so that a leaderboard follows from it."""
    return any(step.by in (Axis.GENERATOR, Axis.PAIR) for step in steps([tier]))


def answering() -> tuple[Step, ...]:
    """Return the steps whose results are answers of generation models."""
    return tuple(step for step in steps() if step.kind == "answers")


def scoring() -> tuple[Step, ...]:
    """Return the steps in which a benchmark judge scores answers by rubrics."""
    return tuple(step for step in steps() if step.by is Axis.PAIR and step.kind == "scores")


def answers_read_by(step: Step) -> str | None:
    """Return the asset, partitioned by generation model, that a step's cells are made from."""
    by_generator = {one.asset for one in steps() if one.by is Axis.GENERATOR}
    return next((asset for asset in step.reads if asset in by_generator), None)


def needs_pairs(step: Step) -> bool:
    """Whether there is nothing to measure without labelled pairs."""
    return step.reads == (PAIRS,)


def joined() -> tuple[Step, ...]:
    """Return the steps whose results `model_runs` is made from.

    Answers that another step of the tier reads are not among them: what was made of them is. Nor
    is what compares retrievers: a run has one, and its results are those of tier 1.
    """
    read = {(step.tier, asset) for step in steps() for asset in step.reads}
    return tuple(
        step
        for step in steps()
        if step.by is not Axis.RETRIEVER
        and (step.kind != "answers" or (step.tier, step.asset) not in read)
    )


def step_of(evaluation: StoredEvaluation) -> Step | None:
    """Return the step that made an evaluation; None for one of no tier, as analytics."""
    by = axis_of(
        evaluation.generation_model,
        evaluation.benchmark_judge_model,
        evaluation.production_judge_model,
    )
    made_by = (evaluation.tier, evaluation.kind, by)
    return next((step for step in steps() if (step.tier, step.kind, step.by) == made_by), None)


def axis_of(generation: str | None, judge: str | None, gate: str | None) -> Axis:
    """Return what a record with these models is measured for."""
    if gate:
        return Axis.GATE
    if generation:
        return Axis.PAIR if judge else Axis.GENERATOR
    return Axis.JUDGE if judge else Axis.NONE


def instruments() -> Mapping[str, frozenset[tuple[str, str]]]:
    """Return the tiers and kinds of each instrument, by its name."""
    found: dict[str, set[tuple[str, str]]] = {}
    for step in steps():
        if step.instrument:
            found.setdefault(step.instrument, set()).add((step.tier, step.kind))
    return {name: frozenset(kinds) for name, kinds in found.items()}


def parse_tiers(text: str) -> frozenset[str]:
    """Return the tiers of a comma-separated list; ``all`` is every tier there is.

    Raises:
        ConfigurationError: an unknown tier.
    """
    known = names()
    wanted = {part.strip() for part in text.split(",") if part.strip()}
    unknown = wanted - {*known, ALL}
    if unknown or not wanted:
        raise ConfigurationError(
            f"No such tier: {', '.join(sorted(unknown)) or '(none given)'}. "
            f"There are: {', '.join(known)}, {ALL}."
        )
    return frozenset(known) if ALL in wanted else frozenset(wanted)


def resolve(reference: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` names.

    Raises:
        ConfigurationError: there is none.
    """
    module, _, name = reference.partition(":")
    try:
        found: Callable[..., Any] = getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"A tier names {reference!r}, which is not there: {error}."
        ) from error
    return found


def _check(found: Iterable[TierSpec]) -> None:
    """Refuse what would be mixed up later, in words that name it."""
    found = list(found)
    every = [step for tier in found for step in tier.steps]
    problems = [
        f"the tier {tier.name!r} must be lower-case letters, digits and _, and not {ALL!r}"
        for tier in found
        if not _NAME.fullmatch(tier.name) or tier.name == ALL
    ]
    problems += [f"two tiers are called {name!r}" for name in _twice(t.name for t in found)]
    problems += [f"two steps make the asset {name!r}" for name in _twice(s.asset for s in every)]
    problems += [
        f"tier {tier} has two steps of kind {kind!r} for each {by}: their records could not be "
        "told apart"
        for tier, kind, by in _twice((step.tier, step.kind, step.by) for step in every)
    ]
    problems += [
        f"{step.asset} asks models and is of none: give it an axis"
        for step in every
        if step.pays and step.by is Axis.NONE
    ]
    stages = {*FIXED, *(step.stage for step in every)}
    problems += [f"two stages are called {name!r}" for name in _twice(s.name for s in stages)]
    problems += [
        f"the stage {stage.name!r} holds steps of different axes or costs"
        for stage in stages
        if len({(s.by, s.pays) for s in every if s.stage == stage}) > 1
    ]
    names: dict[str, Option] = {}
    for option in (step.option for step in every if step.option):
        if names.setdefault(option.name, option) != option:
            problems.append(f"two options are called {option.name!r}")
    if problems:
        raise ConfigurationError(f"Tiers contradict each other: {'; '.join(problems)}.")


def _twice(values: Iterable[Any]) -> list[Any]:
    return [value for value, n in Counter(values).items() if n > 1]
