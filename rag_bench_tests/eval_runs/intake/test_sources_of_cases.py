"""Cases from a file of the server, from one that was sent, from a stored dataset."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from known_chunks import HASHES, known_engine
from sqlalchemy import Engine

from rag_bench.eval_runs.intake.preparing import prepare, prepare_file
from rag_bench.eval_runs.intake.query import request_of_query
from rag_bench.eval_runs.invalid import InvalidInput, TooLarge
from rag_bench.settings import Settings
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.embedded import EmbeddedServer

MODEL = {"llm_model": "simulator/sim-strong"}
LINES = '{"question": "Что входит?", "ground_truth_chunks": ["2"]}\n{"question": "Why?"}\n'


@pytest.fixture(scope="module")
def engine(server: EmbeddedServer, template_database: str) -> Iterator[Engine]:
    with known_engine(server, template_database) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files with links that stay in it, and links that do not."""
    inside = tmp_path / "files"
    (inside / "deep").mkdir(parents=True)
    (inside / "deep" / "cases.jsonl").write_text(LINES, encoding="utf-8")
    (tmp_path / "secret.jsonl").write_text(LINES, encoding="utf-8")
    (tmp_path / "files-2").mkdir()
    (tmp_path / "files-2" / "cases.jsonl").write_text(LINES, encoding="utf-8")
    (inside / "good.jsonl").symlink_to("deep/cases.jsonl")
    (inside / "out.jsonl").symlink_to("../secret.jsonl")
    (inside / "outside").symlink_to(tmp_path)
    (inside / "loop.jsonl").symlink_to("loop.jsonl")
    os.mkfifo(inside / "pipe.jsonl")
    return inside


def refused(error: pytest.ExceptionInfo[InvalidInput]) -> list[tuple[Any, ...]]:
    return [(one.pointer, one.parameter, one.line, one.column) for one in error.value.errors]


@pytest.mark.parametrize("field", ["path_to_file", "path_to_file.jsonl"])
@pytest.mark.parametrize("path", ["deep/cases.jsonl", "good.jsonl", "./deep/../good.jsonl"])
def test_a_file_below_the_folder(engine: Engine, folder: Path, field: str, path: str) -> None:
    prepared = prepare(engine, Settings(eval_files=folder), {field: path, **MODEL})
    assert [one.case_id for one in prepared.cases] == ["1", "2"]
    assert [one.known["lang"] for one in prepared.cases] == ["ru", "en"]
    assert prepared.cases[0].known["chunk_hashes"] == [HASHES[1]]
    assert prepared.request == {"path_to_file": path, **MODEL}


@pytest.mark.parametrize(
    "path",
    [
        *("../secret.jsonl", "deep/../../secret.jsonl", "out.jsonl", "outside/secret.jsonl"),
        *("/etc/passwd", "../files-2/cases.jsonl", "loop.jsonl", "pipe.jsonl", "deep", ".", "none"),
        *("~/x", "deep/cases.jsonl\0.txt", "x" * 999),
    ],
)
def test_no_other_file_is_read_or_told_of(engine: Engine, folder: Path, path: str) -> None:
    with pytest.raises(InvalidInput) as error:
        prepare(engine, Settings(eval_files=folder), {"path_to_file": path, **MODEL})
    assert refused(error) == [("#/path_to_file", None, None, None)]
    assert error.value.errors[0].detail.startswith("There is no file ")
    assert str(folder) not in str(error.value)


def test_without_a_folder_no_file_is_read(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="RAG_BENCH_EVAL_FILES"):
        prepare(engine, Settings(), {"path_to_file": "/etc/passwd", **MODEL})
    with pytest.raises(InvalidInput, match=r"path_to_file and path_to_file\.jsonl"):
        prepare(engine, Settings(), {"path_to_file": "a", "path_to_file.jsonl": "a", **MODEL})


def test_every_problem_of_a_file_is_told_by_line_and_column(engine: Engine) -> None:
    long = {"question": "?", "ground_truth_answer": "Слово " * 1100}
    lines = [
        '{"id": "a", "question": "Что?"}',
        "",
        '{"question": 5, "lang": "de"}',
        '{"id": "a", "question": "%s"}' % ("ы" * 501),
        '{"question": "?", "question": "!"}',
        json.dumps(long, ensure_ascii=False),
        '{"question": "?", "contexts": [{"text": "x", "score": 1}]}',
        "[]",
        '{"question": "?"',
    ]
    with pytest.raises(InvalidInput) as error:
        prepare_file(
            engine, Settings(), {**MODEL, "top_k": 0}, io.BytesIO("\n".join(lines).encode())
        )
    assert refused(error) == [
        ("#/top_k", None, None, None),
        ("#/question", None, 3, 14),
        ("#/lang", None, 3, 25),
        ("#/question", None, 4, 25),
        ("#/id", None, 4, 8),
        ("#/question", None, 5, 14),
        ("#/ground_truth_answer", None, 6, 42),
        ("#/contexts/0/score", None, 7, 55),
        ("#", None, 8, 1),
        (None, None, 9, 17),
    ]
    assert "tokens of the encoder; at most 1000" in error.value.errors[6].detail


def test_right_answers_are_bounded_by_tokens_and_not_by_letters(engine: Engine) -> None:
    words = "политика " * 600  # 5,400 letters
    prepared = prepare(
        engine, Settings(), {"cases": [{"question": "?", "ground_truth_answer": words}], **MODEL}
    )
    assert len(prepared.cases) == 1


def test_fields_stand_in_the_query_where_the_body_holds_cases(engine: Engine) -> None:
    query = [
        *(("llm_model", "simulator/sim-strong"), ("metrics", "BLEU,chrF"), ("metrics", "ROUGE")),
        *(
            ("top_k", "5"),
            ("max_cost_usd", "0.5"),
            ("labels.branch", "main"),
            ("eval_type", "ragas"),
        ),
    ]
    prepared = prepare_file(
        engine, Settings(), request_of_query(query), io.BytesIO(LINES.encode()), in_query=True
    )
    assert prepared.config.metrics == ("bleu", "chrf", "rouge1_f", "rouge2_f", "rougeL_f")
    assert (prepared.config.top_k, prepared.labels) == (5, {"branch": "main"})

    bad = [("top_k", "many"), ("llm_model", "x"), ("eval_type", "all"), ("metrics", "BLUE")]
    with pytest.raises(InvalidInput) as error:
        prepare_file(engine, Settings(), request_of_query(bad), io.BytesIO(b"{}"), in_query=True)
    assert {one.parameter for one in error.value.errors} == {
        *("top_k", "llm_model", "eval_type", "metrics", None)
    }
    with pytest.raises(InvalidInput) as error:
        request_of_query([("dataset", "x"), ("top_k", "1"), ("top_k", "2"), ("a\0", "")])
    assert [one.parameter for one in error.value.errors] == ["dataset", "top_k", "a␀"]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_cases_is_refused(engine: Engine, content: bytes) -> None:
    with pytest.raises(InvalidInput) as error:
        prepare_file(engine, Settings(), MODEL, io.BytesIO(content))
    assert refused(error) == [(None, None, 1, 1)]


def test_a_long_file_is_refused_before_it_is_read(engine: Engine) -> None:
    many = io.BytesIO(b'{"question": "?"}\n' * 3)
    with pytest.raises(TooLarge, match="2 lines"):
        prepare_file(engine, Settings(eval_max_cases=2), MODEL, many)
    with pytest.raises(TooLarge, match="bytes"):
        prepare_file(engine, Settings(eval_max_file_bytes=20), MODEL, io.BytesIO(LINES.encode()))
    with pytest.raises(InvalidInput, match="leave this out"):
        prepare_file(engine, Settings(), {**MODEL, "dataset": "x"}, io.BytesIO(LINES.encode()))


def test_a_stored_dataset(engine: Engine) -> None:
    items = [
        Item("g1", "Что входит?", "Доступ.", (HASHES[0], "f" * 64)),
        Item("g2", "Где карта?", details={"language": "en"}),
    ]
    gold = save_dataset(engine, "gold", "manual", items)
    prepared = prepare(engine, Settings(), {"dataset": "gold", **MODEL})
    assert prepared.config.dataset_id == gold.id
    first, second = prepared.cases
    assert (first.position, first.case_id, first.given["ground_truth_answer"]) == (
        0,
        "g1",
        "Доступ.",
    )
    assert first.known == {
        "lang": "ru",
        "lang_by": "detected",
        "chunk_hashes": [HASHES[0]],
        "names": {},
        "unknown_chunks": ["f" * 64],
    }
    assert (second.known["lang"], second.known["lang_by"]) == ("en", "dataset")
    with pytest.raises(InvalidInput, match=r"There is no dataset 'silver'\. The newest are: gold"):
        prepare(engine, Settings(), {"dataset": "silver", **MODEL})
    with pytest.raises(InvalidInput, match="A stored dataset has no answer"):
        prepare(engine, Settings(), {"dataset": "gold"})


def test_retrieval_alone_needs_no_model(engine: Engine) -> None:
    sent = {"cases": [{"question": "?"}], "eval_type": "retrieval", "metrics": ["chunk_mrr"]}
    assert prepare(engine, Settings(), sent).config.generation_model is None
    with pytest.raises(InvalidInput, match="Case 1 has no answer"):
        prepare(engine, Settings(), {**sent, "metrics": ["BLEU"]})
