"""Every case names the calls that it rests on, and they add up to what its evaluation asked."""

from __future__ import annotations

from collections import Counter

import pytest
from evaluation_calls import calls_of_evaluation
from small_world import ANSWERS, PRODUCTION, SCORES, Done, World, materializations

HOW = {"asked": None, "sent": "sent", "from_ledger": "ledger", "shared": "shared"}


def test_calls_of_the_cases_add_up_to_those_of_the_evaluation(
    done_world: World, whole_graph: Done
) -> None:
    asked = (*ANSWERS, *SCORES, *PRODUCTION)
    n_seen = 0
    for result in whole_graph.results:
        for asset in asked:
            for event in materializations(result, asset):
                metadata = {name: value.value for name, value in event.metadata.items()}
                if "calls_asked" not in metadata:
                    continue
                n_seen += 1
                evaluation = int(str(metadata["evaluation_id"]))
                [own] = done_world.rows(
                    "select inputs -> 'calls' as calls from rag_bench.evaluation "
                    f"where id = {evaluation}"
                )
                calls = calls_of_evaluation(done_world.engine, evaluation)
                how = Counter(call.how for call in calls)
                for name, word in HOW.items():
                    n = len(calls) if word is None else how[word]
                    assert n == own["calls"][name] == metadata[f"calls_{name}"], (asset, name)
                sent = [call for call in calls if call.how == "sent"]
                tokens = sum(call.prompt_tokens or 0 for call in sent)
                assert tokens == own["calls"]["prompt_tokens"] == metadata["prompt_tokens"]
                cost = sum(call.cost_usd for call in sent if call.cost_usd is not None)
                assert float(cost) == pytest.approx(own["calls"]["cost_usd"])
                assert own["calls"]["n_priced"] == sum(call.cost_usd is not None for call in sent)
    assert n_seen > 10


def test_no_case_is_without_a_record_and_judges_say_what_each_call_was_for(
    done_world: World,
) -> None:
    [left] = done_world.rows(
        "select count(*) as n from rag_bench.evaluation_case where calls is null"
    )
    assert left["n"] == 0
    judged = done_world.rows(
        "select call ->> 'for' as what, call ->> 'role' as role, count(*) as n "
        "from rag_bench.evaluation_case as one join rag_bench.evaluation as e on e.id = "
        "one.evaluation_id, jsonb_array_elements(one.calls) as call "
        "where e.kind = 'scores' and e.tier = '2' group by 1, 2"
    )
    assert {row["role"] for row in judged} == {"benchmark_judge"}
    assert {"faithfulness", "answer_relevance", "answer_correctness"} <= {
        row["what"] for row in judged
    }
