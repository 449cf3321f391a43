"""The rows of the view ``model_runs``, joined here: it repeats each metric for every triple.

A thousand triples of ten models a role are a few hundred evaluations, but tens of megabytes when
they are joined by the database. Here the triples share what they have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rag_bench.store.evaluations.joining import joined

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations.records import StoredEvaluation

# As in model_runs.sql: an assistant of the user's own, which retrieves by itself.
_TARGET = "target/"
Tiers = Mapping[str, Mapping[str, Any]]
"""Metrics by tier, as ``tier_…``."""
_OfModel = dict[str | None, Tiers]


def model_runs(engine: Engine, settings_hash: str) -> list[dict[str, Any]]:
    """Return every triple of models measured under one settings hash, with its metrics, by name.

    A role without any result is None. Metrics are shared between rows: they are not to be changed.
    """
    found = joined(engine, settings_hash)
    common = _tiers(one for one in found if _models(one) == (None, None, None))
    answered, scored, judged, gated = _by_role(found)
    datasets = _datasets(found)
    of_pair = {
        (generator, judge): (
            _merged(
                _own(generator, common, "tier_1"),
                _own(generator, judged.get(judge, {}), "tier_3"),
            ),
            _merged(answered[generator], scored.get(generator, {}).get(judge, {})),
        )
        for generator in answered
        for judge in scored.get(generator) or (None,)
    }
    return [
        {
            "generation_model": generator,
            "benchmark_judge_model": judge,
            "production_judge_model": gate,
            "dataset_id": datasets.get(generator),
            "settings_hash": settings_hash,
            "metrics": metrics,
        }
        for (generator, judge), (below, above) in sorted(of_pair.items(), key=_name_of_pair)
        for gate, metrics in _with_gates(below, above, gated)
    ]


def _with_gates(below: Tiers, above: Tiers, gated: _OfModel) -> Iterator[tuple[str | None, Tiers]]:
    """Yield each production judge with the metrics of its triple, which lie between the others."""
    pair = _merged(below, above)
    if not gated:
        yield None, pair
    for gate, tiers in sorted(gated.items(), key=lambda item: item[0] or ""):
        # Usually in a tier of their own: then the pair's objects are shared.
        apart = pair.keys().isdisjoint(tiers)
        yield gate, {**pair, **tiers} if apart else _merged(below, tiers, above)


def _models(one: StoredEvaluation) -> tuple[str | None, str | None, str | None]:
    return one.generation_model, one.benchmark_judge_model, one.production_judge_model


def _name_of_pair(pair: tuple[tuple[str, str | None], Any]) -> tuple[str, bool, str]:
    (generator, judge), _ = pair
    return generator, judge is None, judge or ""


def _by_role(
    found: Iterable[StoredEvaluation],
) -> tuple[dict[str, Tiers], dict[str, _OfModel], _OfModel, _OfModel]:
    """Return the tiers of generators, of pairs, of judges alone, and of production judges."""
    groups: dict[tuple[str | None, str | None, str | None], list[StoredEvaluation]] = {}
    for one in found:
        groups.setdefault(_models(one), []).append(one)
    answered: dict[str, Tiers] = {}
    scored: dict[str, _OfModel] = {}
    judged: _OfModel = {}
    gated: _OfModel = {}
    for (generator, judge, gate), group in groups.items():
        tiers = _tiers(group)
        if gate is not None:
            gated[gate] = tiers
        if generator is not None and judge is not None:
            scored.setdefault(generator, {})[judge] = tiers
        elif generator is not None:
            answered[generator] = tiers
        elif judge is not None:
            judged[judge] = tiers
    return answered, scored, judged, gated


def _datasets(found: Iterable[StoredEvaluation]) -> dict[str, str]:
    least: dict[str, str] = {}
    for one in found:
        if one.kind == "answers" and one.generation_model and one.dataset_id:
            known = least.get(one.generation_model, one.dataset_id)
            least[one.generation_model] = min(known, one.dataset_id)
    return least


def _tiers(group: Iterable[StoredEvaluation]) -> Tiers:
    """Return the metrics of evaluations by tier; those of a tier's kinds become one object."""
    tiers: dict[str, dict[str, Any]] = {}
    for one in group:
        tiers.setdefault(f"tier_{one.tier}", {}).update(one.metrics)
    return tiers


def _own(generator: str, tiers: Tiers, without: str) -> Tiers:
    """Return what holds of a generator: our retrieval says nothing of a live assistant's."""
    if not generator.startswith(_TARGET):
        return tiers
    return {tier: metrics for tier, metrics in tiers.items() if tier != without}


def _merged(*parts: Tiers) -> Tiers:
    """Return metrics put together tier by tier; of equal names the later one stands."""
    merged: dict[str, Mapping[str, Any]] = {}
    for part in parts:
        for tier, metrics in part.items():
            known = merged.get(tier)
            merged[tier] = metrics if not known else {**known, **metrics} if metrics else known
    return merged
