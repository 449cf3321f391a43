"""Where answers fail, of a whole graph: each failed case once, for each model and judge."""

from __future__ import annotations

import json

import pytest
from small_world import World

from rag_bench.errors import RagBenchError
from rag_bench.reporting.failing import failing, lines

STRONG, WEAK = "simulator/sim-strong", "simulator/sim-weak"


def test_where_the_answers_of_each_model_fail(done_world: World) -> None:
    found = failing(done_world.engine)
    assert len({(one.model, one.judge) for one in found}) == len(found)
    assert {STRONG, WEAK} <= {one.model for one in found}
    n_items = done_world.count(
        "dataset_item", "dataset_id in (select id from rag_bench.dataset where kind = 'manual')"
    )
    by_pair = {(one.model, one.judge): one for one in found}
    for one in found:
        assert one.n == n_items
        cases = [case for count in one.counts for case in count.cases]
        assert len(cases) == len(set(cases)) <= one.n
        json.dumps(one.as_json())
    sharp = "simulator/sim-judge-sharp"

    def failed(model: str) -> int:
        return sum(len(count.cases) for count in by_pair[model, sharp].counts)

    assert failed(WEAK) >= failed(STRONG)
    # A place of the ids is the same whoever judges: the call that failed, the answer that refused.
    assert any("answers fail" in line for line in lines(found))
    [only] = {one.model for one in failing(done_world.engine, model=WEAK)}
    assert only == WEAK
    with pytest.raises(RagBenchError, match="there: simulator/extractive"):
        failing(done_world.engine, model="nobody/x")
