"""Which rubrics a tier's judges are asked, and which prompts results depend on; imports nothing
heavy, as the definitions need it to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.rubrics import PREFIX, RUBRICS, rubrics_of
from rag_bench.llm.prompt_texts import MEASURED_PROMPTS
from rag_bench.tiers.base.run_settings import RunSettings

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench

__all__ = [
    "MEASURED_PROMPTS",
    "asked_rubrics",
    "default_rubrics",
    "possible_rubrics",
    "rubric_inputs",
    "rubric_prompts",
    "rubrics_on",
]


def asked_rubrics(run: RunSettings, tier: str, kind: str = "") -> tuple[str, ...]:
    """Return the rubrics that a tier's judges score under these settings; ``kind``: of dataset."""
    return rubrics_of(tier, every=tier == "3" and run.tier3_all_rubrics, kind=kind)


def rubrics_on(bench: Bench, tier: str) -> tuple[str, ...]:
    """Return the rubrics that judges are asked on a bench: of those of the tier the ones that are
    wanted, where only some are.
    """
    asked = asked_rubrics(bench.run, tier, bench.dataset.kind)
    if bench.judged is None:
        return asked
    return tuple(name for name in asked if PREFIX + name in bench.judged)


def possible_rubrics(tier: str) -> tuple[str, ...]:
    """Return the rubrics that a tier's judges may be asked, whatever the settings and dataset."""
    return _of_all_kinds(tier, every=True)


def default_rubrics(tier: str) -> tuple[str, ...]:
    """Return those that are asked without being named, of whatever dataset."""
    return _of_all_kinds(tier, every=False)


def _of_all_kinds(tier: str, *, every: bool) -> tuple[str, ...]:
    asked = dict.fromkeys(rubrics_of(tier, every=every))
    kinds = dict.fromkeys(kind for rubric in RUBRICS.values() for kind in rubric.asked_of)
    for kind in kinds:
        asked |= dict.fromkeys(rubrics_of(tier, every=every, kind=kind))
    return tuple(asked)


def rubric_prompts(tier: str) -> tuple[str, ...]:
    """Return the prompts that a tier's scores may depend on, those of the reply's form included."""
    of_rubrics = (RUBRICS[name].prompt for name in possible_rubrics(tier))
    return (*of_rubrics, "reply_direct", "reply_reasoned")


def rubric_inputs(bench: Bench, tier: str) -> tuple[Any, ...]:
    """Return what enters the input hash of a tier's scores beside the settings: the prompts of
    rubrics that the settings hash does not hold, and which are asked where not all are. Nothing
    where there is neither.
    """
    from rag_bench.llm.tasks.prompts import prompt_hash

    asked = rubrics_on(bench, tier)
    added = sorted({RUBRICS[name].prompt for name in asked} - set(MEASURED_PROMPTS))
    found: list[Any] = []
    if added:
        found.append({"rubrics": {name: prompt_hash([name]) for name in added}})
    if asked != asked_rubrics(bench.run, tier, bench.dataset.kind):
        found.append({"asked_metrics": sorted(asked)})
    return tuple(found)


def own_prompts(bench: Bench, tier: str) -> dict[str, Any]:
    """Return what a tier's scores record of rubrics whose prompts the settings hash does not hold:
    by metric the hash of the prompt that it is asked by. Nothing where there is none.
    """
    from rag_bench.llm.tasks.prompts import prompt_hash
    from rag_bench.store.labels.judge_prompts import OWN_PROMPTS

    asked = [RUBRICS[name] for name in rubrics_on(bench, tier)]
    found = {
        rubric.metric.name: prompt_hash([rubric.prompt])
        for rubric in asked
        if rubric.prompt not in MEASURED_PROMPTS
    }
    return {OWN_PROMPTS: found} if found else {}
