"""Answers in a script without spaces: no measure of words, no error, the reason on the number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from local_provider import LocalProvider, completion
from sample_sentences import SENTENCES
from small_world import World, failure
from starlette.responses import Response

from rag_bench.partitions import ModelLists
from rag_bench.store.evaluations import cases_of

MODELS = ModelLists(["x/m"], ["simulator/sim-judge-steady"], ["simulator/sim-gate-sharp"])
#: Two Thai sentences and a Russian one, each a page.
CONTEXTS = [*SENTENCES["th"][:2], "Стипендию переводят до двадцать пятого числа каждого месяца."]


def test_measures_of_words_are_withheld_case_by_case(
    empty_world: World, provider: LocalProvider, tmp_path: Path
) -> None:
    data = [
        {
            "title": f"page {n}",
            "paragraphs": [
                {
                    "context": context,
                    "qas": [
                        {
                            "id": f"q{n}",
                            "question": f"{context[:20]}?",
                            "answers": [{"text": context, "answer_start": 0}],
                        }
                    ],
                }
            ],
        }
        for n, context in enumerate(CONTEXTS)
    ]
    file = tmp_path / "mixed.json"
    file.write_text(json.dumps({"version": "1", "data": data}), encoding="utf-8")

    async def same(body: dict[str, Any], number: int) -> Response | None:
        return completion(f"{CONTEXTS[2]} [1]")

    provider.misbehave = same
    stages = (
        (["dump", "chunk", "chunk_embeddings"], {"dump": {"squad_files": [str(file)]}}),
        (["tier2_answers"], {}),
    )
    for assets, ops in stages:
        result = empty_world.run(assets, MODELS, ops=ops)
        assert result.success, failure(result)
    (row,) = empty_world.rows("select * from rag_bench.evaluation where kind = 'answers'")
    assert row["errors"] == {}
    for name in ("rouge1_f", "rougeL_f", "bleu"):
        metric = row["metrics"][name]
        assert (metric["n_scored"], metric["n_expected"]) == (1, 1)
        assert metric["value"] == pytest.approx(100 if name == "bleu" else 1)
        ((reason, cases),) = metric["withheld"].items()
        assert cases == 2
        assert "where a word ends" in reason
    assert (row["metrics"]["chrf"]["n_scored"], row["metrics"]["chrf"]["n_expected"]) == (3, 3)
    for case in cases_of(empty_world.engine, row["id"]):
        assert case.error_code is None
        thai = case.scores["chrf"] < 50
        assert (case.scores["rouge1_f"] is None) == thai
    events = result.asset_materializations_for_node("tier2_answers")
    assert "withheld" in events[0].metadata
