"""SQuAD 2.0 in the tiers: to refuse a question that the text does not answer is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from local_provider import LocalProvider, completion
from small_world import World, failure
from starlette.responses import Response

from rag_bench.llm.tasks.pipeline import NOT_FOUND
from rag_bench.partitions import ModelLists
from rag_bench.store.evaluations import cases_of

MODELS = ModelLists(["x/m"], ["simulator/sim-judge-steady"], ["simulator/sim-gate-sharp"])
TEXTS = {
    "Озеро": ("Озеро лежит на высоте 612 метров. Его глубина 48 метров.", "Какая глубина?", "48"),
    "Мост": ("Мост открыли в 1934 году, его длина 220 метров.", "Когда открыли мост?", "в 1934"),
    "Сад": ("В саду растут 300 яблонь и 40 груш.", "Сколько яблонь в саду?", "300"),
}


def _squad(path: Path) -> Path:
    data = [
        {
            "title": title,
            "paragraphs": [
                {
                    "context": context,
                    "qas": [
                        {
                            "id": f"{title}-1",
                            "question": question,
                            "is_impossible": False,
                            "answers": [{"text": answer, "answer_start": context.index(answer)}],
                        },
                        {
                            "id": f"{title}-2",
                            "question": f"Кто построил {title.lower()}?",
                            "is_impossible": True,
                            "answers": [],
                            "plausible_answers": [{"text": answer, "answer_start": 0}],
                        },
                    ],
                }
            ],
        }
        for title, (context, question, answer) in TEXTS.items()
    ]
    path.write_text(json.dumps({"version": "v2.0", "data": data}), encoding="utf-8")
    return path


@pytest.fixture(params=["own", "case"])
def squad2(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Three articles, each with a question that its text answers and one that it does not."""
    if request.param == "own":
        return _squad(tmp_path / "squad2.json")
    folder: Path = request.getfixturevalue("cases")
    return folder / "squad2.json"


@pytest.mark.parametrize("refuses", [False, True])
def test_an_invented_answer_is_wrong_and_a_refusal_is_right(
    empty_world: World, provider: LocalProvider, squad2: Path, refuses: bool
) -> None:
    said = NOT_FOUND if refuses else "Это сделал 7 мая 1812 года инженер Орлов [1]."

    async def same(body: dict[str, Any], number: int) -> Response | None:
        return completion(said)

    provider.misbehave = same
    stages = (
        (["dump", "chunk", "chunk_embeddings"], {"dump": {"squad_files": [str(squad2)]}}),
        (["tier1_retrieval"], {}),
        (["tier2_answers", "tier3_answers"], {}),
        (["tier2_scores", "tier3_scores"], {}),
    )
    for assets, ops in stages:
        result = empty_world.run(assets, MODELS, ops=ops)
        assert result.success, failure(result)
    found = {
        (row["tier"], row["kind"]): row
        for row in empty_world.rows("select * from rag_bench.evaluation")
    }
    retrieval = found["1", "metrics"]["metrics"]
    for name in ("chunk_hit_rate@1", "page_hit_rate@1"):
        assert retrieval[name]["n_expected"] == 3, "half of the six have nothing to be found"

    answers = found["3", "answers"]
    assert answers["metrics"]["out_of_scope_refusal_rate"]["value"] == float(refuses)
    assert answers["metrics"]["out_of_scope_refusal_rate"]["n_expected"] == 3
    for name in ("refusal_rate", "rougeL_f", "n_citations", "citation_recall"):
        assert answers["metrics"][name]["n_expected"] == 3
    cases = cases_of(empty_world.engine, answers["id"])
    apart = [case for case in cases if "out_of_scope_refusal_rate" in case.scores]
    assert [set(case.scores) for case in apart] == [{"out_of_scope_refusal_rate", "latency_ms"}] * 3

    assert found["2", "answers"]["metrics"]["refusal_rate"]["n_expected"] == 3
    for tier in ("2", "3"):
        scores = found[tier, "scores"]
        for name, metric in scores["metrics"].items():
            if name.startswith("rubric_"):
                assert metric["n_expected"] == 3, f"{name} of an answer that should not be there"
