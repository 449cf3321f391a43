"""``rag-bench baseline``: pinned with a reason, shown, checked, unpinned."""

from __future__ import annotations

import json

from command_line import RagBench
from measured import GENERATORS, store_sweep
from sqlalchemy import Engine


def test_a_baseline_from_pinning_to_unpinning(rag_bench: RagBench, engine: Engine) -> None:
    assert "rag-bench baseline pin newest" in rag_bench("baseline", "show").out
    nothing = rag_bench("baseline", "pin", "newest", "--why", "x")
    assert "there is nothing to pin" in nothing.one_line()
    store_sweep(engine, settings="abcd1111")
    refused = rag_bench("baseline", "pin", "newest")
    assert refused.code == 1
    assert "Say why it is the baseline" in refused.one_line()
    done = rag_bench("baseline", "pin", "abcd", "--why", "released", "--who", "Anna")
    assert done.code == 0, done
    shown = json.loads(rag_bench("baseline", "show", "--json").out)
    assert shown["pinned"]["side"] == "settings:abcd1111"
    assert (shown["pinned"]["who"], shown["pinned"]["why"]) == ("Anna", "released")
    # What is measured later under the same settings is no part of it: it is held against it.
    store_sweep(engine, settings="abcd1111")
    checked = rag_bench("baseline", "check")
    assert f"tier 2 scores of {GENERATORS[0]}" in checked.out
    found = json.loads(rag_bench("baseline", "check", "--json").out)
    assert found["baseline"]["side"] == "settings:abcd1111"
    assert all(cell["a"] < cell["b"] for cell in found["cells"])
    assert rag_bench("baseline", "unpin", "--why", "withdrawn").code == 0
    history = json.loads(rag_bench("baseline", "show", "--json").out)["history"]
    assert [one["side"] for one in history] == [None, "settings:abcd1111"]
