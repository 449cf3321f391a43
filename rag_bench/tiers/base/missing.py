"""What to say where results of these settings are missing: why, and what to run."""

from __future__ import annotations

from rag_bench.store import evaluations
from rag_bench.tiers import registry
from rag_bench.tiers.base.bench import Bench


def no_answers(bench: Bench, tier: str, generation_model: str) -> str:
    """Return why a model has no answers that count, and how to get them."""
    asset = next(step.asset for step in registry.answering() if step.tier == tier)
    seen = evaluations.settings_seen(bench.engine, tier=tier, kind="answers")
    first = f"There are no tier {tier} answers of {generation_model} under these settings: "
    if any(key == bench.run.hash for key, _ in seen):
        return (
            f"{first}those of this model failed or were never asked for. Materialize {asset} first."
        )
    # A trial may be newer: what counts is whether there were answers under these very settings.
    if any(bench.run.only_corpus_differs(settings) for _, settings in seen):
        return (
            f"{first}the dump has changed since they were made, and with it texts of the knowledge "
            f"base. Materialize {asset} again; a question whose texts are as before costs nothing."
        )
    hint = f" The newest answers have {bench.run.differences(seen[0][1])}." if seen else ""
    return f"{first}materialize {asset} with the same run config first.{hint}"


def nothing_measured(bench: Bench) -> str:
    """Return why there is nothing to join, and what to run."""
    run = (
        "Run the jobs answers, scores and production_judges (or `rag-bench sweep`), then report; "
        "what is in the ledger costs nothing."
    )
    seen = [
        settings
        for step in registry.answering()
        for _, settings in evaluations.settings_seen(bench.engine, tier=step.tier, kind=step.kind)
    ]
    if not seen:
        return f"No generation model has been measured yet. {run}"
    if any(bench.run.only_corpus_differs(settings) for settings in seen):
        return (
            "The dump has changed since the models were measured, and with it texts of the "
            f"knowledge base: no result is about the current ones. {run}"
        )
    return (
        "No generation model has been measured under these settings; the newest results have "
        f"{bench.run.differences(seen[0])}. {run}"
    )
