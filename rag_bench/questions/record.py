"""What became of every question of a synthetic dataset, and the record kept beside the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.question_sets import (
    overlap_metric,
    round_trip_metrics,
    same_model,
)
from rag_bench.llm.tasks import prompts
from rag_bench.questions.critics import Critic, Opinion
from rag_bench.questions.plan import Wish
from rag_bench.questions.writer import QuestionType

if TYPE_CHECKING:
    from rag_bench.errors import CaseError
    from rag_bench.questions.recipe import Recipe
    from rag_bench.store.synthetic import SyntheticItem


class Outcome(StrEnum):
    """What became of a question that was asked for; each ends as exactly one."""

    kept = "kept"
    unusable = "unusable"  # the writer's reply failed a rule, or could not be read
    rejected = "rejected"  # a critic said no
    not_criticised = "not_criticised"  # a critic's reply could not be read
    duplicate = "duplicate"


@dataclass
class Made:
    """A question on its way.

    Attributes:
        found: hashes of the chunks that retrieval finds for it, best first.
        repeats: id of the question that it is a near-duplicate of.
    """

    wish: Wish
    item: SyntheticItem
    found: list[str] = field(default_factory=list)
    opinions: list[Opinion] = field(default_factory=list)
    critic_error: CaseError | None = None
    repeats: str | None = None
    outcome: Outcome = Outcome.kept

    def __post_init__(self) -> None:
        if not self.item.question:
            self.outcome = Outcome.unusable

    @property
    def question(self) -> str:
        """The question; empty if none could be made."""
        return self.item.question or ""

    @property
    def rejected_by(self) -> Critic | None:
        """The first critic that said no, if one did."""
        return next((one.critic for one in self.opinions if not one.accepted), None)

    @property
    def why(self) -> str:
        """What the first critic that said no said; empty if none did."""
        no = next((one for one in self.opinions if not one.accepted), None)
        return f"{no.critic}: {no.reason}" if no else ""


def describe(
    recipe: Recipe, made: Sequence[Made], encoder: str, code_version: str
) -> dict[str, Any]:
    """Return a dataset's record, as JSON: who made it how, and what became of every question.

    Counts add up: asked = kept + unusable + rejected + not_criticised + duplicate, in all and by
    type. A question that several critics rejected is counted under the first.
    """
    codes = Counter(str(one.item.error_code) for one in made if one.item.error_code)
    unread = Counter(
        str(one.critic_error.code)
        for one in made
        if one.outcome is Outcome.not_criticised and one.critic_error
    )
    rejected = Counter(str(one.rejected_by) for one in made if one.outcome is Outcome.rejected)
    names = recipe.prompts + recipe.critics_prompts
    return {
        "model": recipe.writer,
        "writer": recipe.writer,
        "critic": recipe.critic,
        "types": [kind.value for kind in recipe.types],
        "questions_per_chunk": recipe.questions_per_chunk,
        "max_questions": recipe.max_questions,
        "extends": recipe.extends,
        "near_duplicate_threshold": recipe.near_duplicate_threshold,
        "encoder": encoder,
        "code_version": code_version,
        "recipe_hash": recipe.hash,
        "prompts": {name: prompts.prompt_hash([name]) for name in names},
        "counts": _counts(made),
        "by_type": {
            kind.value: _of_type([one for one in made if one.wish.type is kind])
            for kind in recipe.types
        },
        "errors": dict(codes),
        "rejected_by": dict(rejected),
        "not_criticised": dict(unread),
        "left_out": [_left_out(one) for one in made if one.outcome is not Outcome.kept],
        "warnings": warnings_of(recipe),
    }


def warnings_of(recipe: Recipe) -> list[str]:
    """Return what a reader of any number over these questions should know first."""
    if recipe.critic is None:
        return ["No critic read these questions: some may not be answered by their chunk."]
    if same_model(recipe.writer, recipe.critic):
        return [
            f"{recipe.writer} wrote the questions and criticised them itself: it may pass its own "
            "mistakes. Name another critic_model."
        ]
    return []


def _counts(made: Sequence[Made]) -> dict[str, int]:
    of = Counter(one.outcome for one in made)
    return {"asked": len(made)} | {outcome.value: of[outcome] for outcome in Outcome}


def _of_type(made: Sequence[Made]) -> dict[str, Any]:
    """Return a type's counts, round trip and lexical overlap; the latter two of what was kept.

    Both are None for questions out of scope, which have no chunk of their own.
    """
    kept = [one for one in made if one.outcome is Outcome.kept]
    result: dict[str, Any] = {**_counts(made), "round_trip": None, "lexical_overlap": None}
    if not kept or kept[0].wish.type is QuestionType.out_of_scope:
        return result
    clusters = [one.wish.chunk.page_url for one in kept]
    own = [[chunk.chunk_hash for chunk in one.wish.chunks] for one in kept]
    trip = round_trip_metrics([one.found for one in kept], own, clusters)
    texts = ["\n".join(chunk.text for chunk in one.wish.chunks) for one in kept]
    shared = overlap_metric([one.question for one in kept], texts, clusters)
    result["round_trip"] = {name: metric.to_json() for name, metric in trip.items()}
    result["lexical_overlap"] = shared.to_json()
    return result


def _left_out(made: Made) -> dict[str, Any]:
    """Return why a question is not in the dataset."""
    entry: dict[str, Any] = {
        "id": made.wish.item_id,
        "type": made.wish.type.value,
        "outcome": made.outcome.value,
        "question": made.item.question,
    }
    if made.outcome is Outcome.unusable:
        entry |= {"code": made.item.error_code, "reason": made.item.error_detail}
    elif made.outcome is Outcome.duplicate:
        entry |= {"repeats": made.repeats}
    elif made.outcome is Outcome.not_criticised and made.critic_error:
        entry |= {"code": str(made.critic_error.code), "reason": made.critic_error.detail}
    elif made.outcome is Outcome.rejected:
        entry |= {
            "reason": made.why,
            "reference_answer": made.item.reference_answer,
            "critics": {one.critic.value: one.value for one in made.opinions},
        }
    return entry
