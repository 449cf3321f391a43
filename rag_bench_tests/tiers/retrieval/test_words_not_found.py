"""A question none of whose words stands in any chunk, through tiers 1 and 3."""

from __future__ import annotations

import pytest
from small_world import World, failure
from world_data import CHUNKS, hash_of, url_of

from rag_bench.partitions import ModelLists
from rag_bench.store.datasets import Item, save_dataset

MODELS = ModelLists(
    ["simulator/extractive"], ["simulator/sim-judge-sharp"], ["simulator/sim-gate-balanced"]
)
ASKED = Item(
    "asked", "Когда перечисляют стипендию?", "25-го", (hash_of(0),), (url_of(CHUNKS[0][0]),)
)
# In a script without marks between words, and of words that nobody wrote.
STRANGE = [
    Item("thai", "ทุนการศึกษาจ่ายเมื่อไร", "25", ASKED.chunk_hashes, ASKED.page_urls),
    Item("unknown", "Glokaya kuzdra shteko budlanula?", "25", ASKED.chunk_hashes, ASKED.page_urls),
]


@pytest.mark.parametrize("retriever", ["bm25", "hybrid"])
def test_it_is_a_miss_and_no_failure_and_a_hybrid_goes_on(
    free_world: World, retriever: str
) -> None:
    made = save_dataset(free_world.engine, "чужие слова", "manual", [ASKED, *STRANGE])
    benchmark = {"dataset": made.id, "retriever": retriever}
    for stage in ("tier1_retrieval", "tier3_answers"):
        result = free_world.run([stage], MODELS, benchmark=benchmark)
        assert result.success, failure(result)
    cases = {
        (row["tier"], row["case_id"]): row
        for row in free_world.rows(
            "select e.tier, c.* from rag_bench.evaluation e join rag_bench.evaluation_case c "
            "on c.evaluation_id = e.id where e.dataset_id = :id",
            id=made.id,
        )
    }
    assert cases["1", "asked"]["scores"]["chunk_mrr"] > 0
    assert cases["3", "asked"]["answer"]
    for item in STRANGE:
        found, answered = cases["1", item.item_id], cases["3", item.item_id]
        if retriever == "bm25":
            assert found["retrieved"] == []
            assert found["scores"]["chunk_mrr"] == 0
            assert found["scores"]["id_based_context_recall"] == 0
            assert answered["error_code"] == "INVALID_INPUT"
            assert "no chunk was found" in answered["error_detail"]
        else:
            assert len(found["retrieved"]) == 10
            assert answered["error_code"] is None
    [row] = free_world.rows(
        "select metrics from rag_bench.evaluation where tier = '1' and dataset_id = :id", id=made.id
    )
    mrr = row["metrics"]["chunk_mrr"]
    assert (mrr["n_scored"], mrr["n_expected"]) == (3, 3)
