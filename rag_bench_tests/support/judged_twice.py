"""One model scored by two judges under two settings, planted in the store; and their bridge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from measured import metric, store
from sqlalchemy import Engine

from rag_bench.evaluation.instrument.bridge import Link, Pair, bridge
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.evaluations import Case

OLD, NEW, MODEL = "beta/j1", "beta/j2", "alpha/g1"
QUALITY = "rubric_e2e_quality"
PAGES, EACH = 40, 4
#: The new judge by hand: half a point less, and as wide.
GOOD = [5, 4, 4, 3]
BEFORE, AFTER = "aaaa0123456789ab", "bbbb0123456789ab"
COMMAND = f"rag-bench judge-bridge {OLD} {NEW}"


def scored(
    engine: Engine,
    data: str,
    judge: str,
    by: float,
    settings: str,
    scores: Mapping[str, float] | None = None,
    kind: Any = "scores",
    name: str = QUALITY,
) -> int:
    values = {f"i{n}": GOOD[n % 4] + by for n in range(PAGES * EACH)}
    cases = [
        Case(case, scores={name: value, **(scores or {})})  # type: ignore[dict-item]
        for case, value in values.items()
    ]
    metrics = {n: metric(4.0) for n in (name, *(scores or {}))}
    answers = {"generation": MODEL, "dataset_id": data, "settings": settings}
    store(engine, "3", "answers", {}, n_scored=len(values), **answers)  # type: ignore[arg-type]
    of = {"generation": MODEL, "judge": judge, "dataset_id": data, "settings": settings}
    return store(engine, "3", kind, metrics, cases=cases, **of).id  # type: ignore[arg-type]


def gold(engine: Engine) -> str:
    items = [
        Item(f"i{n}", f"Вопрос {n}?", "да", page_urls=(f"p{n // EACH}",))
        for n in range(PAGES * EACH)
    ]
    return save_dataset(engine, "gold", "manual", items).id


def bridged(engine: Engine, noise: float = 0.5) -> Link:
    """Store a bridge as `rag-bench judge-bridge` does; the new judge gives 0.5 less, or more by
    turns of ``noise``.
    """
    pairs = [
        Pair(MODEL, str(n), n // 4, float(old), old - 0.5 + (noise if n // 4 % 2 else -noise))
        for n, old in enumerate(GOOD * 40)
    ]
    found = bridge(pairs, scale=(1.0, 5.0))
    result = {"old": OLD, "new": NEW, "metrics": {f"tier_3.{QUALITY}": found.as_json()}}
    store(engine, "judge_bridge", "metrics", {}, judge=NEW, inputs={"result": result}, n_scored=1)
    assert found.link is not None
    return found.link
