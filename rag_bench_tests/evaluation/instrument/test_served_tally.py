"""Who answered for a model, and when that is two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rag_bench.evaluation.instrument.served import (
    Served,
    ServedTally,
    differ,
    last_asked,
    mixed,
    names_of,
)

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


def inputs(*replies: tuple[str | None, str | None]) -> dict[str, Any]:
    tally = ServedTally()
    for hour, reply in enumerate(replies):
        tally.note("openai/gpt", Served(*reply), START + timedelta(hours=hour))
    return tally.as_inputs()


def test_replies_are_counted_by_whom_they_name_with_their_times() -> None:
    found = inputs(("gpt-1", "fp"), ("gpt-1", "fp"), ("gpt-2", "fp"))
    assert found == {
        "served": {
            "openai/gpt": [
                {
                    "model": "gpt-1",
                    "system_fingerprint": "fp",
                    "calls": 2,
                    "first": "2026-01-05T12:00:00+00:00",
                    "last": "2026-01-05T13:00:00+00:00",
                },
                {
                    "model": "gpt-2",
                    "system_fingerprint": "fp",
                    "calls": 1,
                    "first": "2026-01-05T14:00:00+00:00",
                    "last": "2026-01-05T14:00:00+00:00",
                },
            ]
        }
    }
    assert names_of(found) == {"openai/gpt": ["gpt-1 [fp]", "gpt-2 [fp]"]}
    assert last_asked(found, "openai/gpt") == START + timedelta(hours=2)
    assert last_asked(found, "openai/other") is None


def test_what_says_nothing_of_itself_is_not_recorded() -> None:
    assert inputs((None, None)) == {}
    assert mixed({}) == []
    assert names_of({}) == {}


@pytest.mark.parametrize(
    ("replies", "by_name"),
    [
        ([("a", None), ("b", None)], True),
        ([("a", "1"), ("a", "2")], False),
        ([("a", "1"), ("b", "1")], True),
    ],
)
def test_two_that_answered_are_a_mix(
    replies: list[tuple[str | None, str | None]], by_name: bool
) -> None:
    [found] = mixed(inputs(*replies))
    assert (found.model_key, found.by_name) == ("openai/gpt", by_name)
    assert "openai/gpt" in found.in_words


@pytest.mark.parametrize(
    "replies", [[("a", "1")], [("a", "1"), ("a", None)], [("a", None), (None, "1")]]
)
def test_a_reply_that_names_less_contradicts_none(
    replies: list[tuple[str | None, str | None]],
) -> None:
    assert mixed(inputs(*replies)) == []


def test_tallies_add_up_in_any_order() -> None:
    one, other = ServedTally(), ServedTally()
    one.note("m", Served("a"), START)
    other.note("m", Served("a"), START - timedelta(days=1))
    one.update(other)
    [row] = one.as_inputs()["served"]["m"]
    assert row["calls"] == 2
    assert (row["first"], row["last"]) == (
        "2026-01-04T12:00:00+00:00",
        "2026-01-05T12:00:00+00:00",
    )


def test_sides_differ_only_in_what_both_say() -> None:
    assert differ([Served("a")], [Served("b")])
    assert differ([Served("a", "1")], [Served("a", "2")])
    assert not differ([Served("a", "1")], [Served("a", None)])
    assert not differ([], [Served("a")])
