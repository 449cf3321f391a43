"""Runs followed by server-sent events, by many at once, over real connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from api_access import a_key, bearer
from api_runs import a_run, an_event, change
from local_provider import served
from sqlalchemy import Engine, text

from rag_bench.api.app import build
from rag_bench.api.eval_runs import events
from rag_bench.settings import Settings


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr(events, "HEARTBEAT", 0.3)
    with (
        served(build(engine, Settings(api_requests_per_minute=100_000))) as address,
        httpx.Client(
            base_url=address,
            headers=bearer(a_key(engine)),
            timeout=30,
            limits=httpx.Limits(max_connections=200),
        ) as made,
    ):
        yield made


@dataclass
class Told:
    id: int
    event: str
    data: dict[str, Any]


def told(lines: Iterator[str], most: int = 1000) -> list[Told | None]:
    """Events of a stream until its end, or so many; None: a heartbeat."""
    import json

    found: list[Told | None] = []
    block: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            block[name] = value
            continue
        if "id" in block:
            found.append(Told(int(block["id"]), block["event"], json.loads(block["data"])))
        elif "" in block:
            found.append(None)
        block = {}
        if len(found) == most:
            break
    return found


def follow(client: httpx.Client, after: int = 0, most: int = 1000) -> list[Told | None]:
    headers = {"Last-Event-ID": str(after)} if after else {}
    with client.stream("GET", "/eval/runs/r1/events", headers=headers) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        return told(reply.iter_lines(), most)


def finish(engine: Engine) -> int:
    with engine.begin() as connection:
        change(connection, "r1", status="succeeded")
        return an_event(connection, "r1", "finished", status="succeeded")


def test_a_follower_is_told_all_and_goes_on_where_it_lost_the_connection(
    client: httpx.Client, engine: Engine
) -> None:
    a_run(engine, "r1", [None], status="queued")
    a_run(engine, "other", [None], status="queued")
    with engine.begin() as connection:
        first = an_event(connection, "r1", "queued", n_cases=1)
        an_event(connection, "other", "queued", n_cases=1)
    seen = follow(client, most=2)
    assert seen[0] is not None
    assert seen[1] is None, "a heartbeat, as nothing happens"
    assert (seen[0].id, seen[0].event) == (first, "queued")
    assert seen[0].data["run_id"] == "r1"
    assert seen[0].data["n_cases"] == 1
    with engine.begin() as connection:  # while nobody is there
        missed = [an_event(connection, "r1", "progress", done=n) for n in range(3)]
    with ThreadPoolExecutor(1) as thread:
        rest = thread.submit(follow, client, first)
        last = finish(engine)
        assert [one.id for one in rest.result(20) if one] == [*missed, last]
    assert [one.id for one in follow(client, missed[-1]) if one] == [last]
    assert follow(client, last) == []
    reply = client.get("/eval/runs/r1/events", headers={"Last-Event-ID": "x"})
    assert (reply.status_code, reply.json()["errors"][0]["parameter"]) == (400, "Last-Event-ID")


def test_many_followers_hold_neither_threads_nor_connections(
    client: httpx.Client, engine: Engine, database_url: str
) -> None:
    a_run(engine, "r1", [None], status="running")
    with engine.begin() as connection:
        first = an_event(connection, "r1", "queued")
    n = 60  # more than the threads that serve requests, and than a pool's connections
    began = threading.Barrier(n + 1)

    def one(number: int) -> list[Told | None]:
        with client.stream("GET", "/eval/runs/r1/events") as reply:
            lines = reply.iter_lines()
            seen = told(lines, 1)
            began.wait(60)
            return [*seen, *told(lines)]

    with ThreadPoolExecutor(n) as threads:
        followers = [threads.submit(one, number) for number in range(n)]
        began.wait(60)
        with engine.connect() as connection:
            here = connection.execute(
                text("select count(*) from pg_stat_activity where datname = current_database()")
            ).scalar_one()
            idle = connection.execute(
                text("select count(*) from pg_stat_activity where state like 'idle in%'")
            ).scalar_one()
        assert client.get("/health").status_code == 200
        last = finish(engine)
        for follower in followers:
            assert [seen.id for seen in follower.result(60) if seen] == [first, last]
    assert here <= 30, "two pools at their most"
    assert idle == 0


def test_who_is_slow_reads_what_it_missed_from_the_table(
    client: httpx.Client, engine: Engine
) -> None:
    a_run(engine, "r1", [None], status="running")
    with engine.begin() as connection:
        an_event(connection, "r1", "queued")
    with client.stream("GET", "/eval/runs/r1/events") as reply:
        lines = reply.iter_lines()
        told(lines, 1)
        with engine.begin() as connection:
            connection.execute(
                text(
                    "insert into rag_bench.eval_event (run_id, kind, data) select 'r1', "
                    "'progress', jsonb_build_object('n', n, 'words', repeat('x', 2000)) "
                    "from generate_series(1, 3000) n"
                )
            )
        finish(engine)
        seen = [one for one in told(lines, 10_000) if one]
    assert [one.data.get("n") for one in seen] == [*range(1, 3001), None]
    assert seen[-1].event == "finished"
