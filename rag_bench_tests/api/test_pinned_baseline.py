"""`/eval/baseline`: pinned by who may, for a reason, audited; the history stays."""

from __future__ import annotations

import pytest
from api_access import a_key, bearer, open_client
from compared_runs import a_scored_run, pages
from measured import store_sweep
from sqlalchemy import Engine

from rag_bench.reporting.compared.pinned import against_baseline
from rag_bench.store.access.audit import actions
from rag_bench.store.evaluations import newest_settings_hash
from rag_bench.store.releases.baselines import current_baseline, history

URL = "/eval/baseline"


def test_a_baseline_is_pinned_shown_and_unpinned(engine: Engine) -> None:
    store_sweep(engine, settings="ab" * 32)
    with open_client(engine) as client:
        client.headers.update(bearer(a_key(engine, ["read", "admin"])))
        assert client.get(URL).json() == {"pinned": None, "history": []}
        reply = client.post(URL, json={"side": "newest", "why": " released on Monday "})
        assert reply.status_code == 200, reply.text
        pinned = current_baseline(engine)
        assert pinned is not None
        assert pinned.side == f"settings:{newest_settings_hash(engine)}" == reply.json()["side"]
        assert pinned.why == "released on Monday"
        assert pinned.who == actions(engine)[0].user_id
        found = against_baseline(engine)
        assert found is not None
        assert found.verdict is None, "the newest results are the baseline's own"
        # Another in its place; then none. The history holds all of it, newest first.
        assert client.post(URL, json={"side": "abab", "why": "again"}).status_code == 200
        gone = client.delete(URL, params={"why": "it is withdrawn"})
        assert gone.status_code == 200
        assert (gone.json()["pinned"], current_baseline(engine)) == (None, None)
        whys = [one["why"] for one in client.get(URL).json()["history"]]
        assert whys == ["it is withdrawn", "again", "released on Monday"]
        # Nothing is there to unpin: nothing changes.
        assert client.delete(URL).status_code == 200
        assert len(history(engine)) == 3
    done = [(one.action, one.status) for one in actions(engine)]
    assert done.count((f"POST {URL}", 200)) == 2
    assert done.count((f"DELETE {URL}", 200)) == 2


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"side": "newest", "why": "  "}, 400),
        ({"side": "newest"}, 400),
        ({"side": "no such thing", "why": "x"}, 404),
        ({"side": "newest", "why": "x"}, 409),  # nothing was measured
        ({"side": "run:0199aaaa", "why": "x"}, 409),
        ({"side": "newest", "why": "x", "who": "somebody else"}, 400),
    ],
)
def test_what_cannot_be_pinned_is_refused_and_nothing_is_written(
    engine: Engine, given: dict[str, str], status: int
) -> None:
    a_scored_run(engine, "0199aaaa", pages(2, 1, {"ragas_faithfulness": [0.5]}))
    with open_client(engine) as client:
        client.headers.update(bearer(a_key(engine, ["admin"])))
        reply = client.post(URL, json=given)
    assert reply.status_code == status, reply.text
    assert history(engine) == []


def test_who_may_run_and_label_may_not_pin(engine: Engine) -> None:
    with open_client(engine) as client:
        client.headers.update(bearer(a_key(engine, ["read", "run", "run:paid", "label"])))
        for reply in (
            client.post(URL, json={"side": "newest", "why": "x"}),
            client.delete(URL),
        ):
            assert (reply.status_code, reply.json()["code"]) == (403, "MISSING_SCOPE")
    assert history(engine) == []
