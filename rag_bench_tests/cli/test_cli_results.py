"""The leaderboard in the terminal, and sweeps that are refused before they begin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import RagBench
from measured import GATES, GENERATORS, JUDGES, dataset, metric, store, store_sweep
from sqlalchemy import Engine, text
from world_data import plain_dump

from rag_bench.source.load import load_dump


def test_a_leaderboard_of_nothing_says_what_to_do(rag_bench: RagBench) -> None:
    for arguments in (["leaderboard"], ["leaderboard", "--json"]):
        done = rag_bench(*arguments)
        assert "There is no result to show yet. Run `rag-bench sweep`" in done.one_line()
        assert done.out == ""
    assert rag_bench("leaderboard", "--settings", "unknown").code == 1


def test_leaderboards_of_two_retrievers_name_each_other(
    rag_bench: RagBench, engine: Engine
) -> None:
    for settings, name in (("first", None), ("second", "bm25")):
        made = store_sweep(engine, settings=settings)
        stored = {"dataset_id": made.id, "limit": None}
        stored |= {"retriever_name": name} if name else {}
        with engine.begin() as connection:
            connection.execute(
                text(
                    "update rag_bench.evaluation set settings = cast(:stored as jsonb) "
                    "where settings_hash = :hash"
                ),
                {"stored": json.dumps(stored), "hash": settings},
            )
    newest = rag_bench("leaderboard").out
    assert "settings second, retriever bm25" in newest
    assert "Measured by the retriever default as well: --settings first." in newest
    older = rag_bench("leaderboard", "--settings", "first").out
    assert "settings first, retriever default" in older
    assert "Measured by the retriever bm25 as well: --settings second." in older
    assert json.loads(rag_bench("leaderboard", "--json").out)["retriever"] == "bm25"


def test_the_leaderboard_as_a_table(rag_bench: RagBench, engine: Engine) -> None:
    store_sweep(engine, generators={"simulator/sim-strong": 4.5, GENERATORS[1]: 3.5})
    done = rag_bench("leaderboard")
    assert (done.code, done.err) == (0, "")
    lines = [line for line in done.out.splitlines() if "│" in line]
    assert len(lines) == 2 + 2 + 2, "a row for each model of each role"
    for model in ("simulator/sim-strong", GENERATORS[1], *JUDGES, *GATES):
        assert model in done.out, "names are not cut"
    assert "4.500" in lines[0]
    assert "20/20" in lines[0]
    assert "first" in lines[0]
    assert "Models named simulator/sim-* are simulated." in done.out
    assert f"Not checked by tier judge: {', '.join(JUDGES)}." in done.out
    assert "8 combinations of models" in done.out
    triples = rag_bench("leaderboard", "--triples").out
    assert len([line for line in triples.splitlines() if "│" in line]) == 6 + 8
    few = rag_bench("leaderboard", "--rows", "3").out
    assert len([line for line in few.splitlines() if "│" in line]) == 6 + 3
    assert "… and 5 more" in few


def test_long_names_leave_room_for_the_numbers_and_masked_ones_are_seen(
    rag_bench: RagBench, engine: Engine
) -> None:
    long = "local/" + "лаборатория-знаний/" * 7 + "q4"
    store_sweep(engine, generators={long: 4.5, GENERATORS[1]: 3.5}, name="опрос anna@example.org")
    for command in (("leaderboard",), ("leaderboard", "--triples")):
        out = rag_bench(*command).out
        assert "опрос [e-mail]" in out, "what stands for it is no markup"
        assert "4.500" in out
        assert "3.500" in out


def test_what_was_not_measured_is_a_dash(rag_bench: RagBench, engine: Engine) -> None:
    made = dataset(engine)
    metrics = {"rougeL_f": metric(None), "semantic_similarity": metric(0.0)}
    store(engine, "3", "answers", metrics, generation="a/g", dataset_id=made.id)
    (line,) = (line for line in rag_bench("leaderboard").out.splitlines() if "│" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    # Ranked by similarity, as nothing was judged.
    assert cells == [
        *("1", "a/g (not configured)", "0.000", "–", "–", "–", "–", "–", "20/20", "–", "–", "first")
    ]


def test_a_newer_trial_is_named_and_not_shown(rag_bench: RagBench, engine: Engine) -> None:
    store_sweep(engine, settings="whole")
    store_sweep(engine, settings="trial-of-five", generators={"a/tried": 2.0})
    with engine.begin() as connection:
        connection.execute(
            text(
                "update rag_bench.evaluation set settings = settings || '{\"limit\": 5}' "
                "where settings_hash = 'trial-of-five'"
            )
        )
    shown = rag_bench("leaderboard").out
    assert "a/tried" not in shown
    assert "There is a newer trial of 5 questions: --settings trial-of-fiv." in shown
    named = rag_bench("leaderboard", "--settings", "trial-of-fiv").out
    assert "a/tried" in named
    assert "newer trial" not in named


def test_the_leaderboard_for_programs(rag_bench: RagBench, engine: Engine) -> None:
    store_sweep(engine, settings="old", generators={"a/old": 2.0})
    store_sweep(engine, settings="new")
    board = json.loads(rag_bench("leaderboard", "--json").out)
    assert board["settings_hash"] == "new"
    assert len(board["rows"]) == 8
    old = json.loads(rag_bench("leaderboard", "--json", "--settings", "old").out)
    assert {row["generation_model"] for row in old["rows"]} == {"a/old"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tier", "7"], ["No such tier: 7.", "judge_pipeline"]),
        (["--tier", "2,нет"], ["No such tier: нет."]),
        (["--tier", ","], ["No such tier", "none given"]),
        (["--mode", "random"], ["--mode is 'random'", "can be synthetic or manual"]),
        (["--judge-eval-mode", "loud"], ["--judge-eval-mode is 'loud'", "direct or reasoned"]),
        (["--generation-models", "nobody/gpt"], ["nobody/gpt"]),
        (["--judge-models", "beta/j"], ["beta/j"]),
        (["--judge-models", "simulator/no-such"], ["no offline model", "sim-judge-sharp"]),
        (["--production-judge-models", "a,,b"], ["production_judge", "empty model name"]),
        ([], ["load-dump"]),
    ],
)
def test_a_sweep_that_cannot_be_is_one_line_and_asks_nobody(
    rag_bench: RagBench, engine: Engine, arguments: list[str], words: list[str]
) -> None:
    line = rag_bench("sweep", *arguments).one_line()
    for word in words:
        assert word in line
    with engine.connect() as connection:
        for table in ("llm_call", "evaluation"):
            assert connection.execute(text(f"select count(*) from rag_bench.{table}")).scalar() == 0


def test_a_sweep_over_an_unknown_dataset_names_those_there_are(
    rag_bench: RagBench, engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "world.dump"
    path.write_text(plain_dump(), encoding="utf-8")
    load_dump(engine, path)
    assert "The newest are: none." in rag_bench("sweep", "--dataset", "no-such").one_line()
    dataset(engine, "золотой")
    assert "золотой (manual, 20 items" in rag_bench("sweep", "--dataset", "no-such").one_line()


@pytest.mark.parametrize("option", ["--limit", "--top-k", "--consistency-runs"])
def test_numbers_below_one_are_refused(rag_bench: RagBench, option: str) -> None:
    done = rag_bench("sweep", option, "0")
    assert done.code == 2
    assert option in done.err
    assert "Traceback" not in done.err


def test_help_names_every_command(rag_bench: RagBench) -> None:
    done = rag_bench("--help")
    assert done.code == 0
    for command in ("load-dump", "import-squad", "sweep", "leaderboard", "dev", "db", "demo"):
        assert command in done.out
