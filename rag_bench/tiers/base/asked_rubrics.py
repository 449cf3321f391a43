"""Which rubrics a tier's judges are asked, and which prompts results depend on; imports nothing
heavy, as the definitions need it to load.
"""

from __future__ import annotations

from typing import Any

from rag_bench.evaluation.rubrics import RUBRICS, rubrics_of
from rag_bench.llm.prompt_texts import MEASURED_PROMPTS
from rag_bench.tiers.base.run_settings import RunSettings

__all__ = [
    "MEASURED_PROMPTS",
    "asked_rubrics",
    "possible_rubrics",
    "rubric_inputs",
    "rubric_prompts",
]


def asked_rubrics(run: RunSettings, tier: str, kind: str = "") -> tuple[str, ...]:
    """Return the rubrics that a tier's judges score under these settings; ``kind``: of dataset."""
    return rubrics_of(tier, every=tier == "3" and run.tier3_all_rubrics, kind=kind)


def possible_rubrics(tier: str) -> tuple[str, ...]:
    """Return the rubrics that a tier's judges may be asked, whatever the settings and dataset."""
    asked = dict.fromkeys(rubrics_of(tier, every=True))
    kinds = dict.fromkeys(kind for rubric in RUBRICS.values() for kind in rubric.asked_of)
    for kind in kinds:
        asked |= dict.fromkeys(rubrics_of(tier, every=True, kind=kind))
    return tuple(asked)


def rubric_prompts(tier: str) -> tuple[str, ...]:
    """Return the prompts that a tier's scores may depend on, those of the reply's form included."""
    of_rubrics = (RUBRICS[name].prompt for name in possible_rubrics(tier))
    return (*of_rubrics, "reply_direct", "reply_reasoned")


def rubric_inputs(run: RunSettings, tier: str, kind: str) -> tuple[Any, ...]:
    """Return what enters the input hash of a tier's scores beside the settings: the prompts of
    rubrics that the settings hash does not hold. Nothing where there are none.
    """
    from rag_bench.llm.tasks.prompts import prompt_hash

    own = [RUBRICS[name].prompt for name in asked_rubrics(run, tier, kind)]
    added = sorted(set(own) - set(MEASURED_PROMPTS))
    return ({"rubrics": {name: prompt_hash([name]) for name in added}},) if added else ()
