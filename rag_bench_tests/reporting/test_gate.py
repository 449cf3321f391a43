"""A gate's rules, read from a file and held against planted runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from compared_runs import Scored, a_scored_run, pages
from sqlalchemy import Engine

from rag_bench.errors import ConfigurationError
from rag_bench.reporting.compared.comparing import UnknownMetricError
from rag_bench.reporting.compared.gate import gate, gated
from rag_bench.reporting.compared.opening import open_side
from rag_bench.reporting.compared.policy import policy_of, read_policy
from rag_bench.settings import PROJECT_ROOT

A, B = "0199aaaa", "0199bbbb"
CRITICAL, SUPPORTING, ADVISORY = "rubric_e2e_quality", "ragas_faithfulness", "rougeL_f"
RULES = PROJECT_ROOT / "docs/examples/gate.toml"


def cases(n: int = 80) -> list[Scored]:
    return pages(n, 2, {CRITICAL: [4.0, 5.0, 3.0], SUPPORTING: [0.9, 0.8], ADVISORY: [0.5]})


def lost(found: list[Scored], metric: str, by: float, every: int = 4) -> list[Scored]:
    return [
        replace(case, scores={**(case.scores or {}), metric: (case.scores or {})[metric] - by})
        if n % every == 0
        else case
        for n, case in enumerate(found)
    ]


@pytest.mark.parametrize(
    ("metric", "by", "outcome"),
    [(CRITICAL, 2.0, "failed"), (SUPPORTING, 0.4, "failed"), (ADVISORY, 0.4, "passed")],
)
def test_what_decides_fails_the_gate(engine: Engine, metric: str, by: float, outcome: str) -> None:
    a_scored_run(engine, A, cases())
    a_scored_run(engine, B, lost(cases(), metric, by))
    found = gate(engine, A, B, read_policy(RULES))
    assert found.outcome == outcome
    words = {one.metric.name: one.metric.decision.word for one in found.metrics}
    assert words[metric] == "got worse"
    assert [one.of for one in found.metrics] == ["critical", "supporting", "advisory"]
    # Each class is a family of its own: an advisory metric takes nothing from the critical one.
    assert [one.metric.p_adjusted for one in found.metrics] == [
        one.metric.comparison.p_value for one in found.metrics
    ]


def test_too_little_holds_it_up_unless_the_rules_say_otherwise(engine: Engine) -> None:
    few = cases(12)
    a_scored_run(engine, A, few)
    a_scored_run(engine, B, lost(few, CRITICAL, 1.0, every=9))
    rules = read_policy(RULES)
    found = gate(engine, A, B, rules)
    assert found.outcome == "held"
    assert "would decide" in str(found.metrics[0].reason)
    assert gate(engine, A, B, replace(rules, cannot_tell="pass")).outcome == "passed"
    assert gate(engine, A, B, replace(rules, cannot_tell="fail")).outcome == "failed"


def test_who_fails_at_the_hard_ones_does_not_pass(engine: Engine) -> None:
    """The cases that are left look as before; a tenth has no score any more."""
    before = cases()
    a_scored_run(engine, A, before)
    after = [replace(case, scores=None) if n % 10 == 0 else case for n, case in enumerate(before)]
    a_scored_run(engine, B, after)
    found = gate(engine, A, B, read_policy(RULES))
    assert found.outcome == "held"
    assert found.metrics[0].reason == "90% of the cases have a pair, 95% are needed"
    a_scored_run(engine, "0199cccc", before[16:])
    assert gate(engine, A, "0199cccc", read_policy(RULES)).metrics[0].paired == 0.9


def test_a_metric_that_was_not_measured_is_no_pass(engine: Engine) -> None:
    a_scored_run(engine, A, [])
    with pytest.raises(UnknownMetricError):
        gate(engine, A, A, read_policy(RULES))


def test_rules_may_be_of_more_than_was_measured(engine: Engine) -> None:
    """One file stands for several projects: what it says of others' metrics changes nothing."""
    a_scored_run(engine, A, cases())
    rules = policy_of(
        {
            "critical": {CRITICAL: "default"},
            "advisory": {"theirs": 0.3},
            "gate": {"higher": ["theirs"], "lower": ["theirs_ms"]},
        }
    )
    side = open_side(engine, A, "a")
    found = gated(engine, side, side, rules)
    assert (found.outcome, found.missing) == ("passed", {"theirs": "advisory"})


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "no metric decides"),
        ({"advisory": {"x": 0.1}}, "no metric decides"),
        ({"crucial": {}}, r"\[crucial\] is none of"),
        ({"critical": {"x": 0}}, r"\[critical\] x is a positive number, not 0"),
        ({"critical": {"x": True}}, "positive number"),
        ({"critical": {"x": "0.1"}}, "positive number"),
        ({"critical": {"x": float("nan")}}, "positive number"),
        ({"critical": {"x": 0.1}, "advisory": {"x": 0.1}}, r"x stands in \[critical\] and in"),
        ({"critical": {"x": 0.1}, "gate": {"colour": 1}}, r"\[gate\] colour is none of"),
        ({"critical": {"x": 0.1}, "gate": {"alpha": 5}}, r"\[gate\] alpha is a share"),
        ({"critical": {"x": 0.1}, "gate": {"cannot_tell": "ask"}}, "cannot_tell is none of"),
        ({"critical": {"x": 0.1}, "gate": {"lower": "x"}}, "no list of metrics"),
        (
            {"critical": {"x": 0.1}, "gate": {"lower": ["x", "y"], "higher": ["z", "y"]}},
            "y stands in higher and in lower",
        ),
        ({"critical": ["x"]}, "no table"),
    ],
)
def test_what_rules_cannot_be_is_named(rules: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        policy_of(rules)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_policy(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("[critical\n")
    with pytest.raises(ConfigurationError, match=r"bad\.toml"):
        read_policy(tmp_path / "bad.toml")


def test_a_byte_order_mark_of_an_editor_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gate.toml").write_bytes(b"\xef\xbb\xbf" + RULES.read_bytes())
    assert read_policy(tmp_path / "gate.toml") == read_policy(RULES)
