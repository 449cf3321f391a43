"""A store that the version before made, read and found by this one: nothing is asked again."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from api_access import reader
from recording import GATES, GENERATORS, JUDGES, SETTINGS, evaluations, recorded, shown
from sqlalchemy import Engine, text

from rag_bench import cli

RECORDED = recorded()
#: Each of the swept settings by the hash that the version before gave it.
HASHES = {
    name: next(
        one["settings_hash"]
        for one in RECORDED["evaluations"]
        if one["tier"] == "3" and one["settings"].items() >= given.items()
    )
    for name, given in SETTINGS.items()
}
# Of a body: asked of a model and not of the ledger.
COUNTED = ("llm_call", "evaluation", "evaluation_case", "embedding", "dataset", "dump")


def differences(before: Any, now: Any, place: str = "") -> list[str]:
    """Return where ``now`` is not ``before``; what is new beside it may be there.

    Fractions are compared by tolerance: some are made when they are shown.
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        gone = [f"{place}/{key} is gone" for key in before if key not in now]
        return gone + [
            said
            for key in before
            if key in now
            for said in differences(before[key], now[key], f"{place}/{key}")
        ]
    if isinstance(before, Sequence) and not isinstance(before, str):
        if not isinstance(now, Sequence) or len(before) != len(now):
            return [f"{place}: {before!r} is {now!r}"]
        pairs = enumerate(zip(before, now, strict=True))
        return [
            said for n, (one, other) in pairs for said in differences(one, other, f"{place}/{n}")
        ]
    if isinstance(before, float) and isinstance(now, (int, float)):
        return [] if now == pytest.approx(before, abs=2e-6) else [f"{place}: {before} is {now}"]
    return [] if before == now else [f"{place}: {before!r} is {now!r}"]


def rag_bench(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str
) -> str:
    """Run a command that must succeed; return what it printed."""
    monkeypatch.setattr(sys, "argv", ["rag-bench", *arguments])
    capfd.readouterr()
    with pytest.raises(SystemExit) as left:
        cli.main()
    out, err = capfd.readouterr()
    assert left.value.code in (0, None), err
    return out


def flags(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as the flags of ``rag-bench sweep``."""
    return [
        word
        for name, value in settings.items()
        for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]


def counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table: int(
                connection.execute(text(f"select count(*) from rag_bench.{table}")).scalar_one()
            )
            for table in COUNTED
        }


def test_the_recording_holds_what_it_is_to_prove() -> None:
    """Every tier and kind, a failed case, a repeated answer, a cached one, a trial."""
    rows = RECORDED["evaluations"]
    assert {(one["tier"], one["kind"]) for one in rows} >= {
        *((tier, "metrics") for tier in ("0", "1", "ux")),
        *((tier, kind) for tier in "23" for kind in ("answers", "scores", "ragas", "custom")),
        *(("judge", "scores"), ("judge_pipeline", "scores")),
        *(("analytics_utilization", "metrics"), ("analytics_domain", "metrics")),
    }
    assert any(one["errors"].get("LLM_FAILED") for one in rows)
    assert any(one["inputs"].get("flags", {}).get("cached_answer") for one in rows)
    assert any(one["inputs"].get("flags", {}).get("asked_again") for one in rows)
    assert {one["status"] for one in rows} == {"succeeded", "partial"}
    assert len(set(HASHES.values())) == len(SETTINGS) == 3


def test_old_evaluations_are_read_as_they_were_written(old_store: Engine) -> None:
    before = RECORDED["evaluations"]
    now = json.loads(json.dumps(evaluations(old_store)))
    assert [one["id"] for one in now[: len(before)]] == [one["id"] for one in before]
    assert differences(before, now[: len(before)]) == []


def as_tested_now(before: Any) -> Any:
    """Return what was shown, with p by the tests of today.

    What was the p-value is the exact one now, beside the mid-p by which it is decided; what could
    have been detected has another formula. A difference without an interval has none that
    is called too narrow. Who cannot be told from the first is found by p over all pairs.
    """
    if isinstance(before, str):
        return before.replace("Holm's p at least", "p adjusted for all pairs at least")
    if isinstance(before, Mapping):
        changed = {"p_value", "p_adjusted", "minimum_detectable"}
        kept = {key: as_tested_now(value) for key, value in before.items() if key not in changed}
        if "p_value" in before and before["ci_low"] is None and kept.get("note"):
            pages = re.search(r"\((\d+)\)", kept["note"])
            assert pages
            kept["note"] = f"too few pages or users ({pages[1]}) for an interval"
        return kept | ({"p_exact": before["p_value"]} if "p_value" in before else {})
    return [as_tested_now(one) for one in before] if isinstance(before, list) else before


def test_everything_is_shown_as_before(old_store: Engine) -> None:
    """Leaderboards, joined runs and versions of results, per settings hash."""
    assert differences(as_tested_now(RECORDED["shown"]), shown(old_store)) == []


@pytest.mark.parametrize("name", SETTINGS)
def test_the_api_reads_it(old_store: Engine, name: str) -> None:
    wanted = {"settings_hash": HASHES[name]}
    before = as_tested_now(RECORDED["shown"][HASHES[name]])
    with reader(old_store) as client:
        board = client.get("/leaderboard", params=wanted).json()
        runs = client.get("/model_runs", params=wanted).json()
    assert differences(before["leaderboard"], board) == []
    assert differences(before["model_runs"], runs["model_runs"]) == []
    assert runs["settings_hash"] == HASHES[name]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_sweep_finds_all_of_it_and_asks_nothing(
    old_store: Engine,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = counts(old_store)
    options = flags({key.replace("_", "-"): value for key, value in SETTINGS[name].items()})
    said = rag_bench(
        monkeypatch,
        capfd,
        "sweep",
        *("--generation-models", ",".join(GENERATORS)),
        *("--judge-models", ",".join(JUDGES)),
        *("--production-judge-models", ",".join(GATES)),
        "--ragas",
        *options,
    )
    assert re.search(r" 0 calls of models$", said, re.MULTILINE), said
    assert counts(old_store) == before
    as_json = rag_bench(monkeypatch, capfd, "leaderboard", "--json", "--settings", HASHES[name])
    assert (
        differences(
            as_tested_now(RECORDED["shown"][HASHES[name]]["leaderboard"]), json.loads(as_json)
        )
        == []
    )


def test_analyses_are_found(
    old_store: Engine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Both tell of months since, and names are masked: they are made anew, once, without a call.
    n_chunks = count_of_chunks(old_store)
    for command, n_cases in (
        ("analyze-chunk-utilization", n_chunks),
        ("analyze-real-users-domain", 0),
    ):
        before = counts(old_store)
        rag_bench(monkeypatch, capfd, command)
        after = {
            **before,
            "evaluation": before["evaluation"] + 1,
            "evaluation_case": before["evaluation_case"] + n_cases,
        }
        assert counts(old_store) == after
        rag_bench(monkeypatch, capfd, command)
        assert counts(old_store) == after


def count_of_chunks(engine: Engine) -> int:
    from rag_bench.store.snapshots import chunks_of, require_current

    return len(chunks_of(engine, require_current(engine).sha256))


def test_a_change_of_what_is_shown_would_be_seen() -> None:
    """The comparison itself: gone, other and reordered values are told, additions are not."""
    before = {"a": 1.0, "b": [1, {"c": None}]}
    assert differences(before, {"a": 1.0 + 1e-9, "b": [1, {"c": None, "d": 2}], "e": 3}) == []
    for now in (
        {"b": [1, {"c": None}]},
        {"a": 1.1, "b": [1, {"c": None}]},
        {"a": None, "b": [1, {"c": None}]},
        {"a": 1.0, "b": [{"c": None}, 1]},
        {"a": 1.0, "b": [1, {"c": 0}]},
        {"a": 1.0, "b": [1]},
    ):
        assert differences(before, now), now
