"""Tiers as they are declared: what contradicts itself is refused, and versions hold all prompts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rag_bench import extensions
from rag_bench.errors import ConfigurationError
from rag_bench.llm.tasks import prompts
from rag_bench.tiers import registry
from rag_bench.tiers.registry import Axis, Option, Step, TierSpec
from rag_bench.tiers.stages import SCORES, Stage

STAGE = Stage("own", "own", "Of our own.", "06:15")
STEP = Step("own_scores", "scores", "nowhere:tasks", "1", STAGE, "Own.", by=Axis.JUDGE)


def test_the_registry_imports_nothing_heavy() -> None:
    heavy = ["dagster", "sqlalchemy", "numpy", "scipy", "torch", "openai", "httpx", "pandas"]
    code = (
        "import sys; from rag_bench.tiers import registry; registry.stages(); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        ([TierSpec("all", "own", (STEP,))], "and not 'all'"),
        ([TierSpec("My tier", "own", (STEP,))], "lower-case letters"),
        ([TierSpec("2", "own", (STEP,))], "two tiers are called '2'"),
        ([TierSpec("own", "own", (replace(STEP, asset="tier2_scores"),))], "two steps make"),
        (
            [TierSpec("own", "own", (STEP, replace(STEP, asset="own_again")))],
            "two steps of kind 'scores' for each benchmark judge",
        ),
        ([TierSpec("own", "own", (replace(STEP, by=Axis.NONE),))], "give it an axis"),
        (
            [TierSpec("own", "own", (replace(STEP, stage=replace(SCORES, at="04:30")),))],
            "two stages are called 'scores'",
        ),
        ([TierSpec("own", "own", (replace(STEP, stage=SCORES),))], "different axes"),
        (
            [TierSpec("own", "own", (replace(STEP, option=Option("ragas", "other")),))],
            "two options are called 'ragas'",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(tiers: list[TierSpec], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        registry._check([*registry.tiers(), *tiers])


def test_what_does_not_is_taken() -> None:
    registry._check([*registry.tiers(), TierSpec("own", "own", (STEP,))])


@pytest.mark.parametrize("at", ["6:15", "24:00", "06:60", "Monday", ""])
def test_a_stage_needs_a_time(at: str) -> None:
    with pytest.raises(ConfigurationError, match="HH:MM"):
        replace(STAGE, at=at)


def test_a_module_without_a_tier_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tierless" / "tiers"
    folder.mkdir(parents=True)
    (folder / "nothing.py").write_text("TIER = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(extensions.VARIABLE, "tierless")
    with pytest.raises(ConfigurationError, match=r"nothing\.py declares no tier"):
        registry.tiers()


@pytest.mark.parametrize("reference", ["no_such_module:f", "rag_bench.errors:no_such", "nothing"])
def test_a_function_that_is_not_there_is_named(reference: str) -> None:
    with pytest.raises(ConfigurationError, match=reference):
        registry.resolve(reference)


def test_all_that_tiers_name_is_there() -> None:
    for step in registry.steps():
        named = [step.work, *step.checks, *filter(None, (step.shows, step.texts))]
        for reference in named:
            assert callable(registry.resolve(reference))
        for prompt in step.named_prompts():
            assert prompts.load(prompt).hashed


#: By asset, the prompts that are sent for it: whoever sends another one names it here, too.
SENT = {
    "tier2_answers": {"generation_answer"},
    "tier3_answers": {"generation_answer"},
    "tier2_scores": {
        *("reply_direct", "reply_reasoned", "rubric_faithfulness"),
        *("rubric_answer_relevance", "rubric_answer_correctness"),
    },
    "tier3_scores": {
        *("reply_direct", "reply_reasoned", "rubric_e2e_quality", "rubric_faithfulness"),
        *("rubric_answer_relevance", "rubric_answer_correctness"),
        "rubric_reference_free_quality",
    },
    "benchmark_judge_quality": {
        *("pairwise_preference", "pairwise_reply_direct", "pairwise_reply_reasoned"),
        *("reply_direct", "reply_reasoned", "rubric_answer_relevance", "rubric_faithfulness"),
    },
    "production_judge_scores": {"production_judge"},
}


@pytest.mark.parametrize("asset", sorted(SENT))
def test_a_changed_prompt_changes_the_code_version(
    asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them, the forms of the reply included."""
    step = registry.step_named(asset)
    assert set(step.named_prompts()) == SENT[asset]
    before = step.code_version()
    read: Callable[[str], prompts.Template] = prompts.load
    for prompt in SENT[asset]:
        with monkeypatch.context() as patch:
            patch.setattr(
                prompts,
                "load",
                lambda name, changed=prompt: replace(
                    read(name), hashed=read(name).hashed + ("!" if name == changed else "")
                ),
            )
            assert step.code_version() != before, prompt
    assert step.code_version() == before
