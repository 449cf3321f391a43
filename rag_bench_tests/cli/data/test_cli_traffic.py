"""``make-traffic-dataset``, and a sweep over what users asked."""

from __future__ import annotations

from pathlib import Path

from command_line import RagBench
from sqlalchemy import Engine
from world_data import TRAFFIC, write_data

from rag_bench.store.datasets import find_dataset, items_of, source_of


def test_users_questions_become_a_dataset_and_are_swept(
    rag_bench: RagBench, tmp_path: Path, engine: Engine, quick_encoder: None
) -> None:
    write_data(tmp_path / "data")
    assert rag_bench("load-dump").code == 0
    made = rag_bench("make-traffic-dataset", "--seed", "3", "--months", "2025-09,unknown")
    assert made.code == 0, made.err
    assert f"{len(TRAFFIC)} rows" in made.out
    assert "1 months, no topics" in made.out
    info = find_dataset(engine, "traffic")
    assert info is not None
    assert (info.kind, info.n_items) == ("traffic", len(TRAFFIC))
    assert {item.question for item in items_of(engine, info.id)} == {row[0] for row in TRAFFIC}
    assert source_of(engine, info.id)["seed"] == 3

    answered = rag_bench("make-traffic-dataset", "--answered-only", "--name", "answered")
    assert answered.code == 0, answered.err
    found = find_dataset(engine, "answered")
    assert found is not None
    assert found.n_items == 2

    done = rag_bench(
        *("sweep", "--dataset", "traffic", "--tier", "3"),
        *("--generation-models", "production/log,simulator/extractive"),
        *("--judge-models", "simulator/sim-judge-steady"),
    )
    assert done.code == 0, done.err
    assert "production/log (the answers that users got)" in done.out
    assert "Against what users got, on the same questions" in done.out
    assert "Scores of what users got, by the rating they gave" in done.out
    again = rag_bench("leaderboard", "--rows", "2")
    assert again.code == 0, again.err
    assert "production/log is no model" in " ".join(again.out.split())


def test_what_cannot_be_sampled_is_said_in_one_line(
    rag_bench: RagBench, tmp_path: Path, engine: Engine, quick_encoder: None
) -> None:
    data = write_data(tmp_path / "data")
    dump = data / "dumps" / "world.dump"
    text = dump.read_text(encoding="utf-8")
    assert rag_bench("load-dump").code == 0
    for months, said in (
        ("2025-13", "'2025-13' is no month; write 2026-01"),
        ("2020-01", "has no questions of 2020-01 with words in them. It has questions of: 2025-09"),
    ):
        assert said in rag_bench("make-traffic-dataset", "--months", months).one_line()
    judge = rag_bench("sweep", "--judge-models", "production/log")
    assert "production/log has answers and is no model" in judge.one_line()

    head, _, rest = text.partition("COPY public.question_answer")
    block, _, tail = rest.partition("\\.\n")
    columns = block.splitlines()[0]
    dump.write_text(f"{head}COPY public.question_answer{columns}\n\\.\n{tail}", encoding="utf-8")
    assert rag_bench("load-dump").code == 0
    said = rag_bench("make-traffic-dataset").one_line()
    assert "holds no questions of users. Load a dump whose question_answer has rows." in said
