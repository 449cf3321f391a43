"""Questions and pairs as other tools and spreadsheets write them."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rag_bench.errors import RagBenchError
from rag_bench.hashing import chunk_hash
from rag_bench.source.dumps.reader import read_dump
from rag_bench.source.question_files.context_binding import ContextBinder
from rag_bench.source.question_files.dataset_files import DatasetFile, read_dataset_file

BASE = "https://help.example/pages/"


@dataclass(frozen=True)
class Chunk:
    page: str
    text: str

    @property
    def page_url(self) -> str:
        return BASE + self.page

    @property
    def chunk_hash(self) -> str:
        return chunk_hash(self.page_url, self.text)


LAKE = Chunk("lake", "Озеро лежит на высоте 612 метров.\nЕго глубина 48 метров, вода холодная.")
BRIDGE = Chunk("bridge", "Мост открыли в 1934 году, его длина 220 метров; ёлки не растут.")
FEE = Chunk("bridge", "Проезд по мосту бесплатный для всех, кроме грузовиков.")
CHUNKS = [LAKE, BRIDGE, FEE]


def write(folder: Path, content: Any, name: str = "rows.jsonl") -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_bytes(content.encode())
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in content]
        path.write_bytes("\n".join(lines).encode())
    return path


def read(folder: Path, content: Any, name: str = "rows.jsonl") -> DatasetFile:
    return read_dataset_file(write(folder, content, name), CHUNKS)


# Names of fields -------------------------------------------------------------------------------

ASKED = "Какая глубина у озера?"
ANSWER = "48 метров"


@pytest.mark.parametrize(
    "row",
    [
        {"question": ASKED, "ground_truth": ANSWER, "contexts": [LAKE.text]},
        {"question": ASKED, "ground_truths": [ANSWER], "contexts": [LAKE.text]},
        {
            "user_input": ASKED,
            "reference": ANSWER,
            "reference_contexts": [LAKE.text],
            "retrieved_contexts": [FEE.text],
            "response": "Не знаю.",
        },
        {"input": ASKED, "expected_output": ANSWER, "context": [LAKE.text]},
        {"question": ASKED, "answer": ANSWER, "context": LAKE.text},
        {"Question": ASKED, "Ground Truth": ANSWER, "Context": LAKE.text},
        {"query": ASKED, "answer": ANSWER, "reference_context": LAKE.text},
        {
            "question": ASKED,
            "answers": {"text": [ANSWER], "answer_start": [3]},
            "context": LAKE.text,
        },
        {"question": ASKED, "answers": [{"text": ANSWER}], "context": LAKE.text},
        {"question": ASKED, "answers": [ANSWER, ANSWER], "context": LAKE.text},
        {"question": ASKED, "reference_answer": ANSWER, "ground_truth": None, "context": LAKE.text},
    ],
    ids=lambda row: ",".join(row),
)
def test_the_usual_names_are_read(tmp_path: Path, row: dict[str, Any]) -> None:
    found = read(tmp_path, [row])
    [item] = found.items
    assert (item.question, item.reference_answer) == (ASKED, ANSWER)
    assert item.chunk_hashes == (LAKE.chunk_hash,)
    assert item.page_urls == (LAKE.page_url,)
    assert found.summary == "1 questions: 1 with a reference answer, 1 with a relevant chunk"


def test_a_test_set_of_ragas_is_read_with_its_wrapper_and_who_wrote_it(tmp_path: Path) -> None:
    """As RAGAS writes its rows, and as tools that save them beside a record of their making."""
    row = {
        "user_input": ASKED,
        "reference": ANSWER,
        "reference_contexts": [LAKE.text],
        "synthesizer_name": "single_hop_specific_query_synthesizer",
        "persona_name": "Анна",
    }
    path = tmp_path / "testset.json"
    path.write_text(json.dumps({"metadata": {"testset_size": 1}, "samples": [row]}), "utf-8")
    found = read_dataset_file(path, CHUNKS)
    [item] = found.items
    assert item.chunk_hashes == (LAKE.chunk_hash,)
    assert item.details["synthesizer_name"] == "single_hop_specific_query_synthesizer"
    assert not any("not known" in note for note in found.notes)
    [line] = read(tmp_path, [row]).items
    assert (line.question, line.details) == (item.question, item.details)
    path.write_text(json.dumps({"samples": [{**row, "user_input": 5}]}), "utf-8")
    with pytest.raises(RagBenchError, match=r"testset\.json, samples 1"):
        read_dataset_file(path, CHUNKS)


def test_what_a_system_said_and_found_is_no_reference(tmp_path: Path) -> None:
    row = {"question": ASKED, "answer": "100 метров", "contexts": [FEE.text]}
    found = read(tmp_path, [row])
    assert found.items[0].reference_answer is None
    assert found.items[0].chunk_hashes == ()
    assert "0 with a reference answer, 0 with a relevant chunk" in found.summary
    [note] = found.notes
    assert note.startswith("answer, contexts: not read")
    assert "name them reference_answer and reference_contexts" in note

    # The rule is the file's: a row without a reference does not make one of what was said.
    rows = [{**row, "ground_truth": ANSWER}, {**row, "ground_truth": ""}]
    found = read(tmp_path, rows)
    assert [item.reference_answer for item in found.items] == [ANSWER, None]
    assert all(item.chunk_hashes == () for item in found.items)


def test_unknown_fields_are_named(tmp_path: Path) -> None:
    rows = [
        {"question": ASKED, "etalon": ANSWER, "kontext": LAKE.text, "title": "Озеро", "blank": ""},
        {"question": "Ещё?", "etalon": ANSWER},
    ]
    found = read(tmp_path, rows)
    assert found.notes == ["fields that are not known and not read: etalon (in 2), kontext (in 1)"]
    assert found.summary == "2 questions: 0 with a reference answer, 0 with a relevant chunk"


def test_all_accepted_answers_are_kept(tmp_path: Path) -> None:
    [item] = read(tmp_path, [{"question": ASKED, "answers": {"text": ["48 м", ANSWER]}}]).items
    assert (item.reference_answer, item.details["answers"]) == ("48 м", ["48 м", ANSWER])


def test_empty_answers_of_flat_rows_are_out_of_scope(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "question": ASKED, "context": LAKE.text, "answers": {"text": [ANSWER]}},
        {"id": "2", "question": "Кто?", "context": LAKE.text, "answers": {"text": []}},
        {"id": "3", "question": "Что?", "context": FEE.text, "answers": [], "is_impossible": False},
    ]
    found = read(tmp_path, rows)
    assert [item.out_of_scope for item in found.items] == [False, True, False]
    beside = found.items[1]
    assert (beside.chunk_hashes, beside.page_urls) == ((), ())
    assert beside.cluster == LAKE.page_url
    assert beside.details["beside_chunk"] == LAKE.chunk_hash
    assert found.summary == (
        "3 questions: 1 with a reference answer, 2 with a relevant chunk, "
        "1 out of scope (to refuse is right)"
    )
    # No row has an answer: they are held back.
    assert not read(tmp_path, rows[1:2]).items[0].out_of_scope


# Contexts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "chunks"),
    [
        (LAKE.text, [LAKE]),
        (unicodedata.normalize("NFD", LAKE.text), [LAKE]),
        (LAKE.text.replace(" ", "\u00a0").replace("метров", "мет\u00adров"), [LAKE]),
        (f"\u200b{BRIDGE.text}\ufeff", [BRIDGE]),
        ("Его глубина 48 метров, вода", [LAKE]),
        ("го глубина 48 метров, вода холод", [LAKE]),
        (f"Про мост.\n\n{BRIDGE.text}\n{FEE.text}", [BRIDGE, FEE]),
        ("48 метров", []),
        ("Ничего такого здесь не написано вовсе.", []),
    ],
)
def test_contexts_are_bound_by_text(context: str, chunks: list[Chunk]) -> None:
    assert list(ContextBinder(CHUNKS).bind(context).chunks) == chunks


def test_a_context_in_several_chunks_is_not_guessed() -> None:
    words = "Вход в музей через двор, билеты в кассе."
    one, two = Chunk("a", f"Зимой. {words}"), Chunk("a", f"Летом. {words}")
    bound = ContextBinder([one, two]).bind(words)
    assert (bound.chunks, bound.page) == ((), one.page_url)
    other = Chunk("b", f"Весной. {words}")
    assert ContextBinder([one, other]).bind(words) == ContextBinder([]).bind(words)
    # One text on several pages is one text.
    twins = [Chunk(page, one.text) for page in "abc"]
    assert ContextBinder(twins).bind(words).chunks == (twins[0],)
    assert ContextBinder(twins).bind(one.text).chunks == (twins[0],)


def test_contexts_are_bound_without_spaces_between_words() -> None:
    chunk = Chunk("zh", "湖面海拔六百一十二米，湖水最深处为四十八米，水温全年都很低，冬天会结冰。")
    assert ContextBinder([*CHUNKS, chunk]).bind(chunk.text[3:30]).chunks == (chunk,)
    assert ContextBinder([*CHUNKS, chunk]).bind(f"引言{chunk.text}结尾").chunks == (chunk,)


def test_lost_contexts_are_counted(tmp_path: Path) -> None:
    rows = [
        {
            "question": "а?",
            "ground_truth": "б",
            "contexts": [LAKE.text, "Такого текста здесь нет."],
        },
        {"question": "в?", "ground_truth": "г", "contexts": ["И этого текста здесь тоже нет."]},
    ]
    found = read(tmp_path, rows)
    assert found.summary == "2 questions: 2 with a reference answer, 1 with a relevant chunk"
    [note] = found.notes
    assert note.startswith("2 of 3 contexts are in no chunk of the snapshot")


# Tables ----------------------------------------------------------------------------------------

HEADER = ["question", "reference_answer", "context", "user_score"]
LINES = [
    [ASKED, 'около "48" метров; 48,0', LAKE.text, "4,5"],
    ["Когда, и кем открыт\tмост?", "", BRIDGE.text, ""],
]


def table(separator: str, lines: list[list[str]] = LINES, header: list[str] = HEADER) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([header, *lines])
    return out.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
def test_tables_of_spreadsheets(tmp_path: Path, separator: str, encoding: str) -> None:
    found = read(tmp_path, table(separator).encode(encoding), "rows.csv")
    first, second = found.items
    assert (first.question, first.reference_answer) == (LINES[0][0], LINES[0][1])
    assert (first.chunk_hashes, first.details) == ((LAKE.chunk_hash,), {"user_score": 4.5})
    assert (second.question, second.reference_answer) == (LINES[1][0], None)
    assert second.chunk_hashes == (BRIDGE.chunk_hash,)
    said = ["rows.csv is not UTF-8 and was read as Windows-1251"]
    assert found.notes == (said if encoding == "cp1251" else [])


def test_marks_that_spreadsheets_leave(tmp_path: Path) -> None:
    text = "\ufeffsep=;\r\n" + table(";").replace("\r\n", "\r\n;;;\r\n") + ";;;;;;\r\n"
    assert len(read(tmp_path, text, "rows.csv").items) == 2
    # Trailing empty cells are left out by some, written by others.
    text = "question;reference_answer\nодин\nдва;ответ;;\n"
    assert [i.reference_answer for i in read(tmp_path, text, "t.csv").items] == [None, "ответ"]


def test_relevant_chunks_are_named_in_columns(tmp_path: Path) -> None:
    text = (
        "id;вопрос;эталон;page;chunk;text_contains\n"
        "1;а?;б;bridge;2;\n2;в?;г;bridge;;1934 году\n3;д?;е;lake;;\n"
    )
    items = read(tmp_path, text, "rows.csv").items
    assert [i.chunk_hashes for i in items] == [(FEE.chunk_hash,), (BRIDGE.chunk_hash,), ()]
    assert [i.page_urls for i in items] == [(FEE.page_url,), (FEE.page_url,), (LAKE.page_url,)]
    assert (items[0].item_id, items[0].question, items[0].reference_answer) == ("1", "а?", "б")


@pytest.mark.parametrize("as_array", [False, True])
def test_lists_as_pandas_prints_them(tmp_path: Path, as_array: bool) -> None:
    texts: Any = [BRIDGE.text, 'Сказано: "да", и it\'s так [1].', FEE.text]
    answers: Any = {"text": [ANSWER], "answer_start": [3]}
    if as_array:
        texts = np.array(texts, dtype=object)
        answers = {name: np.array(value) for name, value in answers.items()}
    frame = pd.DataFrame({"question": [ASKED], "answers": [answers], "contexts": [texts]})
    frame.to_csv(tmp_path / "p.csv")
    [item] = read_dataset_file(tmp_path / "p.csv", CHUNKS).items
    assert item.reference_answer == ANSWER
    assert item.chunk_hashes == (BRIDGE.chunk_hash, FEE.chunk_hash)


def test_pairs_in_a_table(tmp_path: Path) -> None:
    words = ["TRUE", "ЛОЖЬ", "1", "0,0", "да", "hide"]
    lines = [[f"в{n}?", "ответ", "", word] for n, word in enumerate(words)]
    header = ["question", "answer", "context", "ground_truth_show"]
    found = read(tmp_path, table(";", lines, header).encode("cp1251"), "pairs.csv")
    shown = [item.details["ground_truth_show"] for item in found.items]
    assert shown == [True, False, True, False, True, False]
    assert found.summary == "6 pairs: 3 to be shown, 3 to be hidden"
    for word in ("", "может быть", "0,5"):
        with pytest.raises(RagBenchError, match=r"pairs\.csv:2: ground_truth_show is true or fa"):
            read(tmp_path, table(";", [["а?", "б", "", word]], header), "pairs.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("question,reference_answer\nа,б\nв,г,д\n", r":3: 3 cells under 2 names; a text with"),
        ('question,reference_answer\n"а\nб",в\n"г\n', r":4: not CSV"),
        ("question,question\nа,б\n", "question comes twice"),
        ("question,reference_answer\n,б\n", r":2: question must be a text"),
        ("вот,так\nи,этак\n", "whose first line names its columns, one of them question"),
        ("question\n", "holds no items"),
        ("question,contexts\nа,\"['б', oops]\"\n", r":2: contexts begins like a list"),
        ("question,relevant\nа,{oops\n", r":2: relevant must be a list"),
        (b"PK\x03\x04rest", "Save it as CSV"),
        (b"\xd0\xcf\x11\xe0rest", "Save it as CSV"),
        ("question\ncaf\u00e9 na\u00efve \u00e0 la fran\u00e7aise\n".encode("cp1252"), "not UTF-8"),
        ("question\nкак сдать зачёт\n".encode("koi8-r"), "not UTF-8"),
        ("question\nкак сдать зачёт\n".encode("cp866"), "not UTF-8"),
    ],
)
def test_errors_name_their_place(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(RagBenchError, match=message):
        read(tmp_path, content, "rows.csv")


def test_nan_is_nothing(tmp_path: Path) -> None:
    text = '[{"question": "а?", "reference_answer": NaN, "contexts": null}]'
    [item] = read(tmp_path, text, "rows.json").items
    assert item.reference_answer is None


# Reported files --------------------------------------------------------------------------------

HARBOUR = [
    Chunk(
        "mayak",
        "Маяк на мысе Северном построили в 1911 году. Его высота 32 метра, а свет виден "
        "на 18 миль.",
    ),
    Chunk(
        "parom",
        "Паром ходит от города до острова каждый час с 7:00 до 22:00. Билет стоит 120 рублей.",
    ),
    Chunk("muzey", "Музей рыболовства открыт по средам и воскресеньям. Вход для детей бесплатный."),
]


def test_reported_rows_of_ragas(cases: Path) -> None:
    found = read_dataset_file(cases / "old_ragas.jsonl", HARBOUR)
    assert found.summary == "2 questions: 2 with a reference answer, 2 with a relevant chunk"
    assert [item.reference_answer for item in found.items] == ["в 1911 году", "120 рублей"]
    assert found.notes == []


def test_reported_rows_of_hugging_face(cases: Path) -> None:
    found = read_dataset_file(cases / "hf.jsonl", HARBOUR)
    assert found.summary == (
        "6 questions: 3 with a reference answer, 3 with a relevant chunk, "
        "3 out of scope (to refuse is right)"
    )
    assert [item.cluster for item in found.items[::2]] == [c.page_url for c in HARBOUR]


class OfDump(Chunk):
    """A chunk whose page is an address."""

    @property
    def page_url(self) -> str:
        return self.page


def test_a_reported_chunk_in_nfd_is_found_as_people_type_it(cases: Path) -> None:
    chunks = read_dump(cases / "nfd.sql").chunks
    [meant] = [row for row in chunks if "кабинет" in row.text]
    assert not unicodedata.is_normalized("NFC", meant.text)
    known = [OfDump(row.page_url, row.text) for row in chunks]
    found = read_dataset_file(cases / "nfd_n1.json", known)
    assert found.items[0].chunk_hashes == (chunk_hash(meant.page_url, meant.text),)
    binder = ContextBinder(known)
    typed = unicodedata.normalize("NFC", meant.text)
    assert [c.text for c in binder.bind(typed).chunks] == [meant.text]
