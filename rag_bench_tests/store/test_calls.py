"""The ledger's table: batches, group commits, and rows that must not harm each other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from rag_bench.store import calls
from rag_bench.store.calls import (
    CallRow,
    CallStore,
    Inserted,
    LedgerError,
    discard,
    known_keys,
    usage,
)

ROW = CallRow(
    key="k",
    role="generation",
    provider="fake",
    base_url="http://127.0.0.1:1/v1",
    model="m",
    replicate=0,
    request_json='{"messages": [{"content": "Привет, «мир» \\\\ \\" \'"}]}',
    response_json='{"choices": [1.5, 1e-7, "ё\\n"]}',
    status="ok",
    http_status=200,
    finish_reason="stop",
    prompt_tokens=3,
    completion_tokens=4,
    cost_usd=Decimal("0.000123"),
    latency_ms=12.5,
    wait_ms=0.25,
    retries=1,
    dagster_run_id="run",
)


def stored(engine: Engine, columns: str) -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.execute(text(f"select {columns} from rag_bench.llm_call order by id"))
        )


def test_a_row_comes_back_as_it_went_in(database_url: str, engine: Engine) -> None:
    async def run() -> Any:
        async with CallStore(database_url) as store:
            assert await store.lookup("k") is None
            inserted = await store.insert(ROW)
            assert inserted.stands
            return await store.lookup("k"), inserted.id

    found, row_id = asyncio.run(run())
    assert found.id == row_id
    assert found.response_json == '{"choices": [1.5, 0.0000001, "ё\\n"]}'
    assert (found.error_code, found.error_detail, found.latency_ms) == (None, None, 12.5)
    (row,) = stored(engine, "*")
    names = set(CallRow.__dataclass_fields__) - {"request_json", "response_json"}
    assert {n: getattr(row, n) for n in names} == {n: getattr(ROW, n) for n in names}
    assert row.request["messages"][0]["content"] == "Привет, «мир» \\ \" '"


def test_both_forms_of_url_are_taken(engine: Engine) -> None:
    async def run() -> bool:
        async with CallStore(engine.url.render_as_string(hide_password=False)) as store:
            return (await store.insert(ROW)).stands

    assert asyncio.run(run())


def test_what_is_awaited_is_committed_and_few_statements_do_it(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    insert = CallStore._insert_rows

    async def counted(self: CallStore, rows: list[CallRow], status: str | None = None) -> Any:
        batches.append(len(rows))
        return await insert(self, rows, status)

    monkeypatch.setattr(CallStore, "_insert_rows", counted)

    async def run() -> None:
        async with CallStore(database_url) as store:

            async def one(n: int) -> None:
                await store.insert(replace(ROW, key=f"k{n}"))
                # Another connection sees the row as soon as its caller goes on.
                assert await asyncio.to_thread(visible, f"k{n}")

            await asyncio.gather(*(one(n) for n in range(60)))
            found = await asyncio.gather(*(store.lookup(f"k{n}") for n in range(61)))
            assert [reply is None for reply in found] == [False] * 60 + [True]

    def visible(key: str) -> bool:
        with engine.connect() as connection:
            return known_keys(connection, [key]) == {key}

    asyncio.run(run())
    assert sum(batches) == 60
    assert len(batches) <= 6


def test_one_reply_per_key_and_any_number_of_errors(database_url: str, engine: Engine) -> None:
    error = replace(ROW, status="error", error_code="TIMEOUT", response_json=None)

    async def run() -> list[Inserted]:
        async with CallStore(database_url) as store:
            rows = [error, ROW, ROW, error]
            return list(await asyncio.gather(*(store.insert(row) for row in rows)))

    inserted = asyncio.run(run())
    assert sorted(one.stands for one in inserted) == [False, True, True, True]
    statuses = {r.id: r.status for r in stored(engine, "id, status")}
    assert sorted(statuses.values()) == ["discarded", "error", "error", "ok"]
    assert {one.id for one in inserted} == set(statuses), "each caller is told its own row"
    assert [statuses[one.id] for one in (inserted[0], inserted[3])] == ["error", "error"]
    assert [statuses[one.id] for one in inserted if not one.stands] == ["discarded"]


def test_a_row_that_the_database_refuses_harms_no_other(database_url: str, engine: Engine) -> None:
    async def run() -> list[Any]:
        async with CallStore(database_url) as store:
            rows = [replace(ROW, key=f"k{n}") for n in range(5)]
            rows[2] = replace(rows[2], request_json='{"a": "\\u0000"}')
            return await asyncio.gather(
                *(store.insert(row) for row in rows), return_exceptions=True
            )

    results = asyncio.run(run())
    assert [isinstance(r, Inserted) and r.stands for r in results] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert isinstance(results[2], LedgerError)
    assert {r.key for r in stored(engine, "key")} == {"k0", "k1", "k3", "k4"}


def test_a_lost_connection_is_made_again(database_url: str, engine: Engine) -> None:
    async def run() -> None:
        async with CallStore(database_url) as store:
            await store.insert(ROW)
            with engine.begin() as connection:
                ended = connection.execute(
                    text(
                        "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                        "where application_name = 'rag_bench ledger' "
                        "and datname = current_database()"
                    )
                ).scalar_one()
            assert ended >= 1
            assert await store.lookup("k") is not None
            assert (await store.insert(replace(ROW, key="k2"))).stands

    asyncio.run(run())
    assert len(stored(engine, "id")) == 2


def test_closing_commits_what_is_queued(database_url: str, engine: Engine) -> None:
    async def run() -> None:
        async with CallStore(database_url) as store:
            for n in range(300):
                store._writes.submit(replace(ROW, key=f"k{n}"))

    asyncio.run(run())
    assert len(stored(engine, "id")) == 300


def test_big_rows_are_split_over_statements(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_MAX_STATEMENT", 5_000)
    big = '{"text": "' + "ы" * 4_000 + '"}'

    async def run() -> None:
        async with CallStore(database_url) as store:
            rows = (replace(ROW, key=f"k{n}", request_json=big) for n in range(10))
            inserted = await asyncio.gather(*(store.insert(row) for row in rows))
            assert all(one.stands for one in inserted)

    asyncio.run(run())
    assert len(stored(engine, "id")) == 10


def test_a_reply_is_marked_once_and_discarded_only_if_marked(
    database_url: str, engine: Engine
) -> None:
    async def run() -> None:
        async with CallStore(database_url) as store:
            await store.insert(ROW)
            await store.discard_unusable("k")
            assert await store.lookup("k") is not None
            await store.mark_unusable("k", "METRIC_ERROR", "первая\x00 причина")
            await store.mark_unusable("k", "METRIC_ERROR", "вторая")
            found = await store.lookup("k")
            assert found is not None
            assert found.error_detail == "первая\ufffd причина"
            await store.discard_unusable("k")
            assert await store.lookup("k") is None

    asyncio.run(run())
    assert [r.status for r in stored(engine, "status")] == ["discarded"]


def test_an_unreachable_database_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_OPEN_TIMEOUT", 1.0)

    async def run() -> None:
        async with CallStore("postgresql://me:hunter2@127.0.0.1:1/nowhere?connect_timeout=1"):
            pass

    with pytest.raises(LedgerError, match="cannot be reached") as failed:
        asyncio.run(run())
    assert "hunter2" not in str(failed.value)


def test_sums_by_role_and_model(database_url: str, engine: Engine) -> None:
    rows = [
        replace(ROW, key="a", latency_ms=10.0),
        replace(ROW, key="b", latency_ms=20.0, error_code="LLM_FAILED"),
        replace(ROW, key="c", latency_ms=30.0, cost_usd=None, dagster_run_id="other"),
        replace(ROW, key="d", status="error", cost_usd=None, prompt_tokens=None),
        replace(ROW, key="e", role="judge", prompt_tokens=None, cost_usd=None),
    ]

    async def run() -> None:
        async with CallStore(database_url) as store:
            await asyncio.gather(*(store.insert(row) for row in rows))

    asyncio.run(run())
    with engine.begin() as connection:
        generation, judge = usage(connection)
        assert (generation.n_ok, generation.n_useless, generation.n_error) == (3, 1, 1)
        assert (generation.prompt_tokens, generation.completion_tokens) == (9, 16)
        assert generation.cost_usd == Decimal("0.000246")
        assert generation.n_cost_unknown == 1
        assert generation.latency_ms_p50 == 20.0
        assert (judge.cost_usd, judge.n_cost_unknown) == (None, 1)
        assert (judge.prompt_tokens, judge.completion_tokens) == (None, 4), "unknown, not 0"
        (of_run,) = usage(connection, run_id="other")
        assert of_run.n_ok == 1
        assert discard(connection, ["a", "d", "zzz"]) == 1
        assert known_keys(connection, ["a", "b", "d"]) == {"b"}
