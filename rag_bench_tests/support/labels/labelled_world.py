"""Answers whose truth is known, scored by a simulated judge that errs as stated.

Written as evaluations by the store's own functions; what each answer is worth stands in
``simulated_truth``, where the simulator keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Engine

from rag_bench.hashing import content_hash
from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.simulator.judges import judge_reply
from rag_bench.simulator.models import Judge
from rag_bench.simulator.sections import Sections
from rag_bench.simulator.truth import WORTH, PostgresTruth, Quality
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.evaluations import Case, NewEvaluation, save_evaluation

METRIC = "rubric_e2e_quality"
RUBRIC = "e2e_quality"
TIER = "3"
SETTINGS = content_hash("settings of the labelled world")
#: Share of good answers of each model.
MODELS = {f"house/model-{n}": share for n, share in enumerate((0.85, 0.75, 0.65, 0.55, 0.4))}
#: Lenient: of what is wrong it takes four of ten for right.
JUDGE = Judge(
    "sim-lenient",
    sensitivity=0.95,
    specificity=0.6,
    bias=0.0,
    noise=0.0,
    variation=0.0,
    unreadable=0.0,
)
JUDGE_KEY = "house/lenient"


@dataclass
class LabelledWorld:
    """The store and what is true of it.

    ``answers``, ``scores``: evaluations by model; ``truth``: worth of each answer, by model and
    case.
    """

    engine: Engine
    dataset_id: str
    answers: dict[str, int] = field(default_factory=dict)
    scores: dict[str, int] = field(default_factory=dict)
    truth: dict[str, dict[str, int]] = field(default_factory=dict)

    def true_mean(self, model: str) -> float:
        """What all answers of a model are worth."""
        return float(np.mean(list(self.truth[model].values())))

    def true_good(self, model: str) -> float:
        """The share of its answers that are worth 4 or more."""
        return float(np.mean([worth >= 4 for worth in self.truth[model].values()]))


def labelled_world(
    engine: Engine, n: int = 300, models: Sequence[str] = tuple(MODELS), judge: Judge = JUDGE
) -> LabelledWorld:
    """Write a dataset, answers and scores; the tables must be there."""
    items = [
        Item(
            f"q{number:03}",
            f"Как оформить документ номер {number}?"
            if number % 3
            else f"How to file form {number}?",
            f"Через портал, раздел {number}.",
            page_urls=(f"https://help.example/page-{number // 3}",),
            details={"language": "ru" if number % 3 else "en"},
        )
        for number in range(n)
    ]
    world = LabelledWorld(engine, save_dataset(engine, "labelled", "manual", items).id)
    for place, model in enumerate(models):
        add_model(world, items, model, MODELS[model], seed=place, judge=judge)
    return world


def add_model(
    world: LabelledWorld,
    items: Sequence[Item],
    model: str,
    share_good: float,
    *,
    seed: int,
    judge: Judge = JUDGE,
    judge_key: str = JUDGE_KEY,
) -> None:
    """Write a model's answers, what they are worth, and a judge's scores of them."""
    rng = np.random.default_rng(seed)
    memory, key = PostgresTruth(world.engine), AnswerKey()
    good = rng.random(len(items)) < share_good
    answers, scores = [], []
    world.truth[model] = {}
    for item, is_good in zip(items, good, strict=True):
        quality = Quality.correct if is_good else rng.choice([Quality.wrong, Quality.hallucinated])
        text = f"Ответ {seed} на {item.item_id}: {item.reference_answer}"
        memory.remember(item.question, text, Quality(quality))
        known = memory.recall(item.question, text)
        assert known is not None
        world.truth[model][item.item_id] = WORTH[RUBRIC][known]
        asked = Sections(question=item.question, answer=text)
        reply = judge_reply(judge, RUBRIC, asked, known, key, 0, with_reasoning=False)
        answers.append(Case(item.item_id, answer=text))
        scores.append(Case(item.item_id, scores={METRIC: json.loads(reply)["score"]}))
    common: dict[str, Any] = {
        "tier": TIER,
        "settings_hash": SETTINGS,
        "settings": {"prompt_hash": "prompts", "judge_eval_mode": "direct"},
        "started_at": datetime.now(UTC),
        "generation_model": model,
        "dataset_id": world.dataset_id,
    }
    address = content_hash([case.answer for case in answers])
    made = save_evaluation(
        world.engine,
        NewEvaluation(
            kind="answers",
            input_hash=content_hash([model, "answers"]),
            inputs={"answers_hash": address},
            **common,
        ),
        answers,
        n_scored=len(answers),
    )
    world.answers[model] = made.id
    world.scores[model] = save_evaluation(
        world.engine,
        NewEvaluation(
            kind="scores",
            input_hash=content_hash([model, "scores"]),
            inputs={"answers_evaluation": made.id, "answers_hash": address},
            benchmark_judge_model=judge_key,
            **common,
        ),
        scores,
        n_scored=len(scores),
    ).id
