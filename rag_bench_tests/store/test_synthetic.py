"""Synthetic questions survive a kill one by one."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from rag_bench.store.synthetic import SyntheticItem, forget_failed, save_item, saved_items

GOOD = SyntheticItem("1", "chunk-1", "Когда платят стипендию?", "25-го числа.")
BAD = SyntheticItem("2", "chunk-2", error_code="METRIC_ERROR", error_detail="no question")


def test_items_are_kept_per_recipe(engine: Engine) -> None:
    save_item(engine, "recipe", GOOD)
    save_item(engine, "recipe", BAD)
    save_item(engine, "other", BAD)
    assert saved_items(engine, "recipe") == {"1": GOOD, "2": BAD}
    assert saved_items(engine, "other") == {"2": BAD}
    assert saved_items(engine, "third") == {}


def test_a_later_attempt_replaces_the_earlier_one_whole(engine: Engine) -> None:
    save_item(engine, "recipe", BAD)
    better = SyntheticItem("2", "chunk-2", "Где взять справку?", "В деканате.")
    save_item(engine, "recipe", better)
    assert saved_items(engine, "recipe") == {"2": better}, "no error is left beside the question"


@pytest.mark.parametrize("recipe", ["recipe", "other"])
def test_only_failed_attempts_of_one_recipe_are_forgotten(engine: Engine, recipe: str) -> None:
    for name in ("recipe", "other"):
        save_item(engine, name, GOOD)
        save_item(engine, name, BAD)
    forget_failed(engine, recipe)
    left = {name: set(saved_items(engine, name)) for name in ("recipe", "other")}
    assert left.pop(recipe) == {"1"}
    assert list(left.values()) == [{"1", "2"}]
