"""By which texts a judge was asked for a metric: those that it reads, and no others.

Settings name one hash of all prompts that are measured by. A changed prompt of the generator, or of
another rubric, changes it and changes nothing of this judge: so the address here is of the texts
behind it that this metric is asked by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.people.guidelines import prompt_of
from rag_bench.evaluation.people.measures import Measure
from rag_bench.hashing import content_hash
from rag_bench.store.releases.prompt_texts import texts_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Of an evaluation's inputs: hashes of the rubrics' prompts that the settings' hash does not hold.
OWN_PROMPTS = "judge_prompts"
#: The files of RAGAS' prompts that each metric is asked by, beside the words around all of them.
_OF_RAGAS = {
    "ragas_faithfulness": ("statements", "faithfulness"),
    "ragas_answer_relevancy": ("answer_relevancy",),
    "ragas_answer_correctness": ("statements", "answer_correctness"),
    "ragas_context_precision": ("context_precision",),
    "ragas_context_recall": ("context_recall",),
}


class JudgePrompts:
    """Addresses of the texts that judges were asked by for one metric; reads each hash once."""

    def __init__(self, engine: Engine, measure: Measure) -> None:
        self._engine, self._measure = engine, measure
        self._texts: dict[str, Mapping[str, str]] = {}

    def address(
        self, inputs: Mapping[str, Any], settings: Mapping[str, Any], prompt_hash: str | None
    ) -> str:
        """Return the address for an evaluation of scores.

        Where its texts were never stored it is that of all prompts, as for earlier versions.
        """
        source, mode = self._measure.source, settings.get("judge_eval_mode")
        if source in ("ragas", "contexts"):
            language = inputs.get("ragas_language")
            files = (*_OF_RAGAS[self._measure.metric], "frame")
            names = [f"ragas/{language}/{name}" for name in files]
            hashed, beside = prompt_hash, inputs.get("ragas_version")
        elif source == "gate":
            names, hashed, beside = [prompt_of(self._measure)], settings.get("prompt_hash"), None
        else:
            own = inputs.get(OWN_PROMPTS, {}).get(self._measure.metric)
            named = [] if own else [prompt_of(self._measure)]
            names, hashed, beside = [*named, f"reply_{mode}"], settings.get("prompt_hash"), own
        texts = self._known(hashed)
        if not all(name in texts for name in names):
            return f"{hashed} {mode}"
        return content_hash([beside, {name: texts[name] for name in names}])

    def _known(self, hashed: str | None) -> Mapping[str, str]:
        if not hashed:
            return {}
        if hashed not in self._texts:
            self._texts[hashed] = texts_of(self._engine, hashed) or {}
        return self._texts[hashed]
