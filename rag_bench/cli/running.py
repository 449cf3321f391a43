"""What ``rag-bench sweep`` and ``rag-bench benchmark`` share: from options to a finished sweep."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from rag_bench.benchmark_fields import words_of
from rag_bench.cli.app import console, errors, open_engine, open_sweep, progress_bars
from rag_bench.cli.flags import Caps, RunFlags
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings
from rag_bench.tiers import registry

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.cli.analytics import Wanted
    from rag_bench.llm.transport.tally import Tally
    from rag_bench.partitions import ModelLists
    from rag_bench.sweep import Sweep


@dataclass(frozen=True)
class RoleModels:
    """How a user named the models of one role; empty: not at all."""

    names: str = ""
    source: str = ""
    key_var: str = ""
    url_var: str = ""


@dataclass(frozen=True)
class Options:
    """What a user asked for beside the models.

    Attributes:
        benchmark: run config of the resource ``benchmark``; a dataset may be a file.
        options: names of what is measured as it is asked for.
        analyses: analytics to make after the tiers.
    """

    tiers: frozenset[str]
    benchmark: Mapping[str, Any] = field(default_factory=dict)
    options: frozenset[str] = frozenset()
    skip_checks: bool = False
    plan: bool = False
    caps: Caps = field(default_factory=Caps)
    analyses: Sequence[Wanted] = ()

    @classmethod
    def of(cls, given: RunFlags, **others: Any) -> Options:
        """Return what the flags ask for, and the settings; ``others`` are what they have not.

        Raises:
            ConfigurationError: an unknown tier.
        """
        asked = given.options | registry.asked_by_settings(get_settings())
        tiers = registry.parse_tiers(given.tiers)
        return cls(tiers, given.benchmark, asked, plan=given.plan, caps=given.caps, **others)


def run(models: ModelLists, options: Options) -> None:
    """Run a sweep with its analyses, or show its plan; say what it did and what it cost.

    Raises:
        RagBenchError: it is not complete, with what to do; everything answered is kept.
    """
    from rag_bench.llm.transport.budget import spending
    from rag_bench.llm.transport.tally import Tally, counting
    from rag_bench.sweep import SweepRequest

    engine = open_engine()
    benchmark = _checked(engine, options.benchmark)
    if options.plan:
        from rag_bench.cli.planning import make_plan, show_plan

        say_what(engine, models, benchmark)
        show_plan(make_plan(engine, models, options.tiers, benchmark, options.options))
        return
    request = SweepRequest(
        models, options.tiers, benchmark, options.options, skip_checks=options.skip_checks
    )
    budget = options.caps.budget()
    running = open_sweep(models)
    say_what(engine, models, benchmark)
    started = time.monotonic()
    tally = Tally()
    with progress_bars(), spending(budget), counting(tally):
        results = running.run(request, announce)
        free_part_failed = any(result.errors for result in results[:1])
        if options.analyses:
            from rag_bench.cli.analytics import analytics_stage

            results += analytics_stage(running, engine, options.analyses)
    for result in results:
        typer.echo(f"{result.name:<34} {result.seconds:7.1f} s")
    seconds = time.monotonic() - started
    typer.echo(f"{'total':<34} {seconds:7.1f} s, {tally.sent} calls of models")
    show_tally(tally, seconds)
    if any(map(registry.is_of_generators, options.tiers)) and not free_part_failed:
        show_board(engine, running, benchmark)
    if budget is not None and budget.reached:
        raise RagBenchError(
            f"The sweep stopped at its cap after {budget.calls} calls, {budget.cost_usd:.4f} USD "
            f"(unknown prices left out). Everything answered is kept. {budget.reached}"
        )
    failed = [error for result in results for error in result.errors]
    failed += _without_pairs(engine, options.tiers, benchmark)
    if failed:
        raise RagBenchError("The sweep is not complete. " + " ".join(failed))
    typer.echo("\nNext: rag-bench leaderboard --json, or `make dev` to look at it in the UI.")


def _without_pairs(
    engine: Engine, tiers: frozenset[str], benchmark: Mapping[str, Any]
) -> list[str]:
    """Return why production judges were not measured: a failure if just they were asked for."""
    from rag_bench.store import snapshots
    from rag_bench.tiers.base.pairs import no_pairs, pairs_of

    snapshot = snapshots.require_current(engine)
    lacking = any(map(registry.needs_pairs, registry.steps(tiers)))
    if not lacking or pairs_of(engine, snapshot, benchmark.get("pairs")):
        return []
    why = no_pairs(engine, snapshot)
    if tiers < frozenset(registry.names()):
        return [why]
    typer.echo(f"note: production judges were not measured. {why}")
    return []


def chosen_models(generation: RoleModels, judges: RoleModels, production: RoleModels) -> ModelLists:
    """Return the models that were named, or those that the environment gives.

    Raises:
        RagBenchError: a name without a provider, an offline model that does not exist.
    """
    from rag_bench.llm.config import offline
    from rag_bench.llm.config.providers import Providers, Role
    from rag_bench.partitions import ModelLists

    providers = Providers.from_environment()
    for note in providers.notes:
        errors.print(f"note: {note}", highlight=False)

    def resolved(role: Role, named: RoleModels) -> Sequence[str]:
        return providers.resolve_models(
            role,
            named.names or None,
            named.source or None,
            named.key_var or None,
            named.url_var or None,
        )

    models = ModelLists(
        resolved(Role.generation, generation),
        resolved(Role.benchmark_judge, judges),
        resolved(Role.production_judge, production),
    )
    for names, offered in (
        (models.generation, offline.ALL_GENERATORS),
        (models.benchmark_judges, offline.ALL_BENCHMARK_JUDGES),
        (models.production_judges, offline.ALL_PRODUCTION_JUDGES),
    ):
        for name in names:
            offline.require(name, offered)
    return models


def one_of(flag: str, value: str, allowed: Sequence[str]) -> str:
    """Return a flag's value.

    Raises:
        RagBenchError: it is none of those allowed; the empty one is not named.
    """
    if value not in allowed:
        known = " or ".join(word for word in allowed if word)
        raise RagBenchError(f"{flag} is {value!r}; it can be {known}.")
    return value


def dataset_of(engine: Engine, reference: str) -> str:
    """Return a dataset's id; a file is imported first.

    Raises:
        RagBenchError: there is no such dataset or file.
    """
    from rag_bench.source.question_files.dataset_export import makers
    from rag_bench.source.question_files.dataset_files import read_dataset_file
    from rag_bench.store import datasets, snapshots

    path = Path(reference)
    if path.is_file():
        snapshot = snapshots.require_current(engine)
        read = read_dataset_file(path, snapshots.chunks_of(engine, snapshot.sha256))
        typer.echo(read.summary)
        for note in read.notes:
            typer.echo(f"note: {note}")
        made_by = makers(read.items)
        # Who wrote the questions decides what they are, not that they came in a file.
        kind = "synthetic" if read.kind == "questions" and made_by else read.kind
        return datasets.save_dataset(
            engine,
            path.stem,
            kind,
            read.items,
            {"file": path.name, **made_by},
            snapshot=snapshot.sha256 if kind == datasets.PAIRS else None,
        ).id
    found = datasets.find_dataset(engine, reference)
    if found is None:
        known = ", ".join(str(d) for d in datasets.list_datasets(engine)[:5]) or "none"
        raise RagBenchError(f"There is no dataset or file {reference!r}. The newest are: {known}.")
    return found.id


def say_what(engine: Engine, models: ModelLists, benchmark: Mapping[str, Any]) -> None:
    """Print which snapshot, dataset and models are used."""
    from rag_bench.store import snapshots
    from rag_bench.tiers.base.bench import resolve_dataset
    from rag_bench.tiers.base.pairs import made_for, pairs_of

    snapshot = snapshots.require_current(engine)
    try:
        wanted, mode = benchmark.get("dataset"), benchmark.get("mode") or None
        named = str(resolve_dataset(engine, snapshot, wanted, mode))
    except RagBenchError:
        named = "still to be made"
    typer.echo(f"snapshot {snapshot.name}: {snapshot.n_chunks} chunks; dataset {named}")
    if pairs := pairs_of(engine, snapshot, benchmark.get("pairs")):
        typer.echo(f"labelled pairs: {pairs}, {made_for(engine, pairs)}")
    for role, names in (
        ("generation models", models.generation),
        ("benchmark judges", models.benchmark_judges),
        ("production judges", models.production_judges),
    ):
        typer.echo(f"{role}: {', '.join(names)}")


def announce(name: str) -> None:
    """Say which stage begins."""
    errors.print(f"… {name}", highlight=False)


def show_tally(tally: Tally, seconds: float) -> None:
    """Print how often each role was asked, and what the ledger saved."""
    if not tally.by_role:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("requests by role")
    for name in ("asked", "from ledger", "shared", "sent", "sent/s"):
        table.add_column(name, justify="right")
    for role, requests in tally.by_role.items():
        table.add_row(
            role.replace("_", " "),
            *(
                f"{n:,}"
                for n in (requests.asked, requests.from_ledger, requests.shared, requests.sent)
            ),
            f"{requests.sent / seconds:.1f}",
        )
    console.print(table)


def show_board(engine: Engine, running: Sweep, benchmark: Mapping[str, Any]) -> None:
    """Print the models under these settings, best first."""
    from rag_bench.cli.results import show
    from rag_bench.reporting.leaderboard import build
    from rag_bench.resources import BenchmarkResource

    try:
        bench = BenchmarkResource(**benchmark).open(engine, None)
        show(build(engine, bench.run.hash), console)
    except RagBenchError as error:
        typer.echo(f"No leaderboard: {error}")


def _checked(engine: Engine, benchmark: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run config without what was not given, a dataset by its id."""
    given = {name: value for name, value in benchmark.items() if value is not None}
    for name, value in given.items():
        if allowed := words_of(name):
            one_of(f"--{name.replace('_', '-')}", value, allowed)
    if given.get("dataset"):
        given["dataset"] = dataset_of(engine, given["dataset"])
    else:
        given.pop("dataset", None)
    if given.get("pairs"):
        given["pairs"] = dataset_of(engine, given["pairs"])
    else:
        given.pop("pairs", None)
    return given
