"""Rubrics are declared in their prompts' files; what a judge reads keeps its hash."""

from __future__ import annotations

import pytest

from rag_bench.evaluation.metric_spec import Need
from rag_bench.evaluation.rubrics import (
    RUBRICS,
    HeaderError,
    hashed_text,
    parse_rubric,
    rubric_named,
    rubrics_of,
)
from rag_bench.llm.tasks import prompts
from rag_bench.tiers.base.asked_rubrics import (
    MEASURED_PROMPTS,
    asked_rubrics,
    possible_rubrics,
    rubric_prompts,
)

SOURCE = """---
fields: question, context, answer
about: is it polite; scale 1 to 5
order: 50
tiers: ["2"]
optional_in: ["3"]
asks: "is it polite?"
worth: {"correct": 5, "partial": 5, "wrong": 4, "hallucinated": 4, "refused": 3}
shown: [{"tier": "2", "title": "polite", "place": 45}]
target: [{"tier": "2", "value": 4.0, "area": "manners", "place": 200}]
---
# system
tiers: ["2"] is no declaration here.

# user
{{question}} {{context}} {{answer}}
"""


def test_prompts_have_the_hashes_that_stored_results_name() -> None:
    """The settings hash holds them: another value, and no result made before is found again."""
    assert prompts.prompt_hash(MEASURED_PROMPTS) == (
        "3f57407c16915637116a1c1f614926305f3616dfc05098551b1a5ab68b216363"
    )
    of_rubrics = {
        "rubric_answer_correctness": "2569fda7224d610f",
        "rubric_answer_relevance": "a7c260a627045f01",
        "rubric_e2e_quality": "82fc43dc37be55ab",
        "rubric_faithfulness": "5dfbf1292784289a",
    }
    assert {name: prompts.prompt_hash([name])[:16] for name in of_rubrics} == of_rubrics


def test_a_declaration_is_no_part_of_what_is_hashed_and_all_else_is() -> None:
    plain = "\n".join(
        line
        for number, line in enumerate(SOURCE.split("\n"))
        if not 3 <= number <= 9  # the lines that declare
    )
    assert hashed_text(SOURCE) == plain == hashed_text(plain)
    assert prompts.parse_template("rubric_polite", SOURCE).hashed == plain
    for other in (
        SOURCE.replace("is it polite; scale", "is it kind; scale"),
        SOURCE.replace("{{question}} {{context}}", "{{context}} {{question}}"),
        SOURCE.replace("is no declaration here", "is none"),
    ):
        assert hashed_text(other) != plain


def test_a_rubric_is_read_from_its_file() -> None:
    rubric = parse_rubric("rubric_polite", SOURCE)
    assert (rubric.name, rubric.prompt) == ("polite", "rubric_polite")
    assert rubric.inputs == ("question", "context", "answer")
    assert not rubric.needs_reference
    assert (rubric.tiers, rubric.optional_in, rubric.worth["wrong"]) == (("2",), ("3",), 4)
    metric = rubric.metric
    assert (metric.name, metric.tiers, metric.scale) == ("rubric_polite", ("2", "3"), (1, 5))
    assert metric.needs == {Need.in_scope}
    (column,), (target,) = metric.shown, metric.targets
    assert (column.title, column.ranks, target.value, target.area) == (
        *("polite", None),
        *(4.0, "manners"),
    )
    with_reference = SOURCE.replace(
        "fields: question, context", "fields: question, reference_answer"
    )
    assert Need.reference in parse_rubric("rubric_polite", with_reference).metric.needs


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("asks:", "ask:", "is not understood"),
        ('asks: "is it polite?"\n', "", "does not declare asks"),
        ('["2"]\noptional', "2,\noptional", "tiers is no JSON"),
        ('"wrong": 4, ', "", "worth gives"),
        ('"wrong": 4', '"wrong": 6', "worth gives"),
        ('"place": 45', '"order": 45', "rubric_polite"),
        ("---\nfields", "fields", "no front matter"),
    ],
)
def test_a_declaration_that_is_not_whole_is_refused(old: str, new: str, said: str) -> None:
    assert old in SOURCE
    with pytest.raises(HeaderError, match=said):
        parse_rubric("rubric_polite", SOURCE.replace(old, new))


def test_only_a_rubric_declares() -> None:
    with pytest.raises(prompts.PromptError, match="not understood"):
        prompts.parse_template("generation_polite", SOURCE)


def test_which_rubrics_a_tier_asks() -> None:
    of_2 = ("faithfulness", "answer_relevance", "answer_correctness")
    assert rubrics_of("2") == of_2
    assert rubrics_of("3") == ("e2e_quality",)
    assert possible_rubrics("3") == ("e2e_quality", *of_2, "reference_free_quality")
    assert rubrics_of("1", every=True) == ()

    class Run:
        tier3_all_rubrics = True

    assert asked_rubrics(Run(), "2") == of_2  # type: ignore[arg-type]
    assert asked_rubrics(Run(), "3") == ("e2e_quality", *of_2)  # type: ignore[arg-type]
    Run.tier3_all_rubrics = False
    assert asked_rubrics(Run(), "3") == ("e2e_quality",)  # type: ignore[arg-type]
    assert set(rubric_prompts("3")) == {
        *(rubric.prompt for rubric in RUBRICS.values()),
        *("reply_direct", "reply_reasoned"),
    }
    with pytest.raises(KeyError, match="known: faithfulness"):
        rubric_named("honesty")
