"""Baseline, comparison, gate and the report of a release, over the whole graph of a small world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_world import (
    ANSWERS,
    LAB,
    OFFLINE,
    SCORES,
    World,
    checks_of,
    failure,
    materializations,
)

from rag_bench.llm.prompt_texts import MEASURED_PROMPTS
from rag_bench.llm.tasks import prompts
from rag_bench.partitions import ModelLists
from rag_bench.reporting.compared.comparing import compare
from rag_bench.reporting.compared.pinned import against_baseline, pin
from rag_bench.simulator.roster import Catalogue
from rag_bench.simulator.serving import Serving, served_as
from rag_bench.store.evaluations import newest_settings_hash
from rag_bench.store.releases.baselines import current_baseline, history
from rag_bench.store.releases.verdicts import newest_verdict

RELEASE = ("baseline", "comparison", "release_gate", "release_report")
STRONG, WEAK = "simulator/sim-strong", "simulator/sim-weak"
JUDGE = "simulator/sim-judge-sharp"


def only(world: World, asset: str, result: Any) -> dict[str, Any]:
    [found] = materializations(result, asset)
    return {name: found.metadata[name].value for name in found.metadata}


def release(world: World, **ops: dict[str, Any]) -> Any:
    return world.run(RELEASE, tags={}, ops=ops)


def test_without_a_baseline_everything_is_green_and_says_how_to_pin(done_world: World) -> None:
    result = release(done_world)
    assert result.success, failure(result)
    for asset, name in (("comparison", "verdict"), ("release_gate", "outcome")):
        assert "rag-bench baseline pin newest" in only(done_world, asset, result)[name]
    report = only(done_world, "release_report", result)
    assert report["published"] is False
    assert checks_of(result)["may_be_released"].passed
    assert newest_verdict(done_world.engine) is None


def test_a_baseline_is_pinned_in_the_graph_and_what_is_the_same_passes(done_world: World) -> None:
    why = {"pin": "newest", "why": "released on Monday", "who": "Anna"}
    result = release(done_world, baseline=why)
    assert result.success, failure(result)
    pinned = current_baseline(done_world.engine)
    assert pinned is not None
    assert (pinned.side, pinned.who, pinned.why) == (
        f"settings:{newest_settings_hash(done_world.engine)}",
        "Anna",
        "released on Monday",
    )
    found = only(done_world, "comparison", result)
    assert found["verdict"] == "nothing is newer than the baseline"
    assert found["cells_that_are_the_same"] > 0
    gate = only(done_world, "release_gate", result)
    assert (gate["outcome"], gate["may_i_release"]) == ("passed", "You may release.")
    report = only(done_world, "release_report", result)
    assert report["published"] is True
    assert Path(report["page"]).parent == done_world.reports / "releases"
    assert Path(report["json"]).exists()
    # Materialized again with no config, nothing is pinned anew; a pin without a reason is refused.
    again = done_world.run(["baseline"], tags={})
    assert [one.id for one in history(done_world.engine)] == [pinned.id]
    assert only(done_world, "baseline", again)["pinned"] == pinned.side
    refused = done_world.run(["baseline"], tags={}, ops={"baseline": {"pin": "newest"}})
    assert "Say why it is the baseline" in failure(refused)
    done_world.run(["baseline"], tags={}, ops={"baseline": {"unpin": True}})
    assert current_baseline(done_world.engine) is None
    assert len(history(done_world.engine)) == 2


def test_a_worse_model_is_asked_again_at_a_stated_price_and_then_not_published(
    done_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = done_world
    pin(world.engine, f"model:{STRONG}", why="it runs in production")
    evaluations, calls = world.count("evaluation"), world.count("llm_call")
    config = {"generation_model": WEAK}
    # The price first: nothing is sent, nothing stored but the verdict.
    asked = world.run(RELEASE, tags={}, ops={"release_gate": {**config, "ask_again": False}})
    assert "may_be_released" in checks_of(asked), failure(asked)
    assert not asked.success  # the blocking check
    [told] = only(world, "release_gate", asked)["asked_again"]
    assert (told["asked"], told["why_not"]) == (False, "only the price was asked for.")
    price = told["price"]["most_calls"]
    # The most has room for a second question to a judge wherever a reply cannot be read.
    again = sum(line["n_again"] for line in told["price"]["lines"])
    assert again == sum(
        line["n_to_send"] + line["n_unknown"]
        for line in told["price"]["lines"]
        if line["role"] == "benchmark_judge"
    )
    assert 0 < told["price"]["calls"] == price - again < price
    assert world.count("llm_call") == calls
    capped = world.run(
        ["release_gate"], tags={}, ops={"release_gate": {**config, "max_calls": price - 1}}
    )
    [told] = only(world, "release_gate", capped)["asked_again"]
    assert told["why_not"] == (
        f"up to {price} calls are more than the cap of {price - 1} (max_calls)."
    )
    # Now for true: both sides' answers of the cases that decide are drawn anew, and judged.
    result = world.run(RELEASE, tags={}, ops={"release_gate": config})
    [told] = only(world, "release_gate", result)["asked_again"]
    assert told["asked"], told
    sent = world.count("llm_call") - calls
    assert 0 < sent <= price
    for line in told["price"]["lines"]:
        model = line["model"].partition("/")[2]
        of_model = world.count("llm_call", f"replicate >= 500000 and model = '{model}'")
        least = 1 if line["role"] == "benchmark_judge" else line["n_to_send"]
        most = line["n_to_send"] + line["n_unknown"] + line["n_again"]
        assert least <= of_model <= most, line
    assert world.count("llm_call", "replicate >= 500000") == sent
    roles = world.rows("select distinct role from rag_bench.llm_call where replicate >= 500000")
    assert {row["role"] for row in roles} == {"generation", "benchmark_judge"}
    # It blocks the report of the release, and nothing else: what was measured stays.
    check = checks_of(result)["may_be_released"]
    assert not check.passed
    assert check.description.startswith(("Do not release.", "Do not release yet."))
    assert not materializations(result, "release_report")
    assert not (world.reports / "releases").exists()
    assert world.count("evaluation") >= evaluations
    alone = world.run(["release_report"], tags={})
    assert alone.success
    assert only(world, "release_report", alone)["published"] is False
    assert world.run(["benchmark_report"], tags={}).success
    # Asked once more it gives the same answer, of the ledger: a gate is not rolled until it passes.
    again = world.run(["release_gate"], tags={}, ops={"release_gate": config})
    assert world.count("llm_call") == calls + sent
    first, second = only(world, "release_gate", result), only(world, "release_gate", again)
    assert first["outcome"] == second["outcome"]
    # Fresh replicates are no results of their own: what is shown is what was.
    found = newest_settings_hash(world.engine)
    assert (
        found
        == world.rows("select settings_hash from rag_bench.release_verdict")[0]["settings_hash"]
    )


def test_a_model_swapped_behind_the_baselines_name_is_named(done_world: World) -> None:
    world, name = done_world, STRONG.partition("/")[2]
    pin(world.engine, f"model:{STRONG}", why="it runs in production")
    swapped = Serving().with_model(name, Catalogue().by_name["sim-weak"], says="sim-weak")
    with served_as(swapped):
        result = world.run(RELEASE, tags={}, ops={"release_gate": {"generation_model": WEAK}})
    gate = only(world, "release_gate", result)
    [told] = gate["asked_again"]
    assert told["asked"]
    assert [(one["side"], one["cause"]) for one in told["reproduction"]["known"]] == [
        ("a", "model")
    ]
    known = f"Known: {STRONG} is answered for by sim-weak [simulated] now, by {name} [simulated]"
    assert f"{known} then." in told["reproduction"]["in_words"]
    assert known in gate["in_words"]
    stored = newest_verdict(world.engine)
    assert stored is not None
    assert stored.said["models"][0]["again"]["reproduction"] == told["reproduction"]


def test_a_changed_prompt_is_held_against_the_baseline_cell_by_cell(
    free_world: World,
) -> None:
    world, models = free_world, ModelLists((STRONG,), (JUDGE,), OFFLINE.production_judges)
    for stage in (ANSWERS, SCORES, LAB):
        assert world.run(stage, models).success
    before = newest_settings_hash(world.engine)
    pin(world.engine, "newest", why="released")
    texts = {one: prompts.load(one).hashed for one in MEASURED_PROMPTS}
    name = "generation_answer"
    texts[name] = texts[name].replace("# user", "Answer in one short sentence.\n\n# user", 1)
    with prompts.prompts_as(texts):
        changed = prompts.prompt_hash(MEASURED_PROMPTS)
        for stage in (("tier1_retrieval",), ANSWERS, SCORES, LAB):
            result = world.run(stage, models, tags={} if len(stage) == 1 else None)
            assert result.success, failure(result)
        release = world.run(("comparison",), models, tags={})
    assert release.success, failure(release)
    after = newest_settings_hash(world.engine)
    assert after != before
    found = against_baseline(world.engine)
    assert found is not None
    assert found.settings_hash == after
    labels = [cell.label for cell in found.cells if cell.compared is not None]
    assert f"tier 3 scores of {STRONG} by {JUDGE}" in labels
    assert only(world, "comparison", release)["verdict"] == found.verdict
    # The baseline is a side like others, and the prompt is named in its own words.
    whole = compare(world.engine, "baseline", f"settings:{after}")
    assert whole.inputs
    named = {
        one["name"] for differs in whole.inputs for one in (differs.detail or {}).get("prompts", [])
    }
    assert named == {name}
    assert changed in {one.b for one in whole.inputs}
