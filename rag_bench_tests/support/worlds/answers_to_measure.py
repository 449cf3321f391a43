"""Answers with all that measuring tells apart, and what an earlier version made of them.

Answered, failed, refused, uncited, wrongly cited, cached, repeated; questions out of scope, without
a reference, without a relevant chunk; references in scripts that withhold measures of words.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.twins import Twins
from rag_bench.llm.tasks.pipeline import Answer, Fragment
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers.answers import Context
from rag_bench.tiers.answers.cached_answers import CachedAnswer, Match

RECORDED = Path(__file__).with_name("answers_measured.json")

OUT_OF_SCOPE = {"type": "out_of_scope"}
ITEMS = (
    Item("plain", "Когда стипендия?", "Стипендия 25-го числа каждого месяца.", ("c1",), ("p1",)),
    Item("two", "Куда нести справку?", "В кабинет А-212 до 10 октября.", ("c2", "c3"), ("p1",)),
    Item("twin", "Сколько стоит комната?", "940 рублей в месяц.", ("c4",), ("p2",)),
    Item("failed", "When is it open?", "The reading room is open until 5 pm.", ("c6",), ("p3",)),
    Item("flaky", "Кто решает?", "Решает комиссия 1 марта.", ("c7",), ("p4",)),
    Item("refused", "Как уйти в академ?", "Подать заявление в деканат.", ("c8",), ("p4",)),
    Item("uncited", "Можно ли маме?", "Да", ("c2",), ("p1",)),
    Item("no reference", "А гостям?", None, ("c3",), ("p1",)),
    Item("no chunk", "Где буфет?", "На первом этаже.", (), ("p5",)),
    Item("thai", "เปิดกี่โมง", "ห้องสมุดเปิดเก้าโมงเช้าทุกวัน", ("c9",), ("p6",)),
    Item("japanese", "何時ですか", "図書館は九時に開きます。", ("c9",), ("p6",)),
    Item("cached", "Когда пересдача?", "С 10 по 20 февраля.", ("c5",), ("p2",)),
    Item("cached elsewhere", "А вторая?", "Принимает комиссия.", ("c5",), ("p2",)),
    Item("impossible", "Кто станет чемпионом?", "Ответ не найден", (), (), OUT_OF_SCOPE),
    Item("invented", "Сколько стоит биткоин?", "Ответ не найден", (), (), OUT_OF_SCOPE),
    Item("cached impossible", "Есть ли жизнь на Марсе?", "Ответ не найден", (), (), OUT_OF_SCOPE),
)
TWINS = Twins({"c4": "c4", "c4 again": "c4"})

_LATE = CaseError(ErrorCode.TIMEOUT, "no reply in 60 s", retryable=True)
_LATE.flags = ("thinking_cut",)


def _answer(text: str, *cited: str, refused: bool = False, ms: float | None = 100.0) -> Answer:
    flags = () if cited else ("NO_CITATIONS",)
    return Answer(text, text, cited, refused, ms, flags)


def _cached(text: str, page: str, number: int) -> CachedAnswer:
    entry: Any = SimpleNamespace(source_id=number, page_url=page, answer=text, question="?")
    return CachedAnswer(
        text=text,
        reply=text,
        citations=(),
        refused=False,
        latency_ms=None,
        flags=("cached_answer",),
        match=Match(entry, 0.96),
        fragments=(Fragment("c5", page, "Пересдачи с 10 по 20 февраля."),),
    )


#: What each question got, by repeat.
RESULTS: dict[str, tuple[Answer | CaseError, ...]] = {
    "plain": (
        _answer("Стипендия приходит 25-го числа.", "c1"),
        _answer("Стипендия приходит 25-го числа.", "c1", ms=300.0),
        _answer("25-го числа на карту.", "c1", "c2", ms=None),
    ),
    "two": (
        _answer("В кабинет А-212.", "c2", "c2", "never given"),
        _answer("До 10 октября.", "c3"),
        _answer("В кабинет А-212.", "c2"),
    ),
    "twin": (_answer("Комната стоит 940 рублей.", "c4 again"),) * 3,
    "failed": (_LATE,) * 3,
    "flaky": (
        CaseError(ErrorCode.LLM_FAILED, "cut off"),
        _answer("Комиссия.", "c7"),
        _answer("Решает комиссия 1 марта.", "c7"),
    ),
    "refused": (_answer("Ответ не найден", refused=True),) * 3,
    "uncited": (_answer("Да, по заявлению коменданту."), _answer("Да"), _LATE),
    "no reference": (_answer("Гостям можно до 21 часа.", "c3"),) * 3,
    "no chunk": (_answer("Буфет на первом этаже.", "c1"),) * 3,
    "thai": (_answer("ห้องสมุดเปิดเก้าโมงเช้า", "c9"),) * 3,
    "japanese": (_answer("図書館は九時に開く。", "c9"),) * 3,
    "cached": (_cached("С 10 по 20 февраля.", "p2", 1),) * 3,
    "cached elsewhere": (_cached("Комиссия из трёх человек.", "p9", 2),) * 3,
    "impossible": (_answer("Ответ не найден", refused=True),) * 3,
    "invented": (_answer("Миллион.", "c1"), _answer("Ответ не найден", refused=True), _LATE),
    "cached impossible": (_cached("Есть.", "p9", 3),) * 3,
}


def asked(tier: str, runs: int) -> tuple[list[tuple[Item, int]], list[Any]]:
    """Return the questions with their repeats, and what each got; the cache answers in tier 3."""
    items = [item for item in ITEMS if tier == "3" or not item.out_of_scope]
    if tier == "2":
        items = [item for item in items if not item.item_id.startswith("cached")]
    pairs = [(item, repeat) for item in items for repeat in range(runs)]
    return pairs, [RESULTS[item.item_id][repeat] for item, repeat in pairs]


def contexts() -> dict[str, Context]:
    """Return what each question's generator was given."""
    found = {}
    for item in ITEMS:
        first = RESULTS[item.item_id][0]
        chunks = [*item.chunk_hashes, "c1", "c4 again"]
        found[item.item_id] = (
            Context(first.fragments, cached=first)
            if isinstance(first, CachedAnswer)
            else Context(tuple(Fragment(c, f"page of {c}", f"Текст {c}.") for c in chunks))
        )
    return found


def vectors() -> dict[str, np.ndarray]:
    """Return a vector for every text, as an encoder would give: near for texts alike in letters."""
    texts = {item.reference_answer for item in ITEMS}
    texts |= {r.text for of in RESULTS.values() for r in of if isinstance(r, Answer)}
    found = {}
    for text in sorted(filter(None, texts)):
        vector = np.full(32, 0.1)
        for letter in text.lower():
            vector[ord(letter) % 32] += 1.0
        found[text] = vector / np.linalg.norm(vector)
    return found


def bench(tier: str, runs: int) -> Any:
    """Return as much of a bench as measuring reads."""
    run = SimpleNamespace(consistency_runs=runs, cached_answers=tier == "3")
    dataset = SimpleNamespace(kind="manual")
    return SimpleNamespace(items=list(ITEMS), run=run, dataset=dataset, twins=TWINS, wanted=None)


def as_json(cases: list[Case], metrics: dict[str, Any]) -> Any:
    """Return what was measured as JSON."""
    made = {
        "cases": [
            [case.case_id, case.repeat, case.answer, case.error_code, dict(case.scores)]
            for case in cases
        ],
        "metrics": {name: metric.to_json() for name, metric in metrics.items()},
    }
    return json.loads(json.dumps(made, sort_keys=True))


#: (tier, repeats) that were recorded.
RECORDINGS = (("2", 1), ("2", 3), ("3", 1), ("3", 3))
