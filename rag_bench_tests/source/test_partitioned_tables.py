"""Rows of partitions, of children and of several blocks add up, in every kind of dump."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_bench.errors import DumpError
from rag_bench.source.dumps.reader import read_dump
from rag_bench.source.dumps.relations import Relations
from rag_bench.source.limits import WITH_PARTITIONS
from rag_bench_tests.source.production_database import Database

Make = Callable[[str], Database]

CHUNK = """create table chunk (id int, confluence_url text, text text);
insert into chunk values (1, 'https://kb/1', 'Зал открыт до 21:00.'), (2, 'https://kb/2', 'Да.');
"""
COLUMNS = """id bigint not null, question text, answer text, confluence_url text, score int,
user_id bigint, created_at timestamptz not null"""
ROWS = """select n, 'вопрос ' || n, 'ответ', 'https://kb/1', 5, n,
    timestamptz '2024-01-15 12:00+00' + n * interval '3 months' from generate_series(1, 7) n"""
# Two levels, a default partition, a partition in a schema of its own, columns in another order.
PARTITIONED = f"""{CHUNK}
create table question_answer ({COLUMNS}) partition by range (created_at);
create schema parts;
create table parts."Вопросы 2024" partition of question_answer
    for values from ('2024-01-01') to ('2025-01-01') partition by hash (id);
create table parts.q0 partition of parts."Вопросы 2024" for values with (modulus 2, remainder 0);
create table parts.q1 partition of parts."Вопросы 2024" for values with (modulus 2, remainder 1);
create table qa_2025 (created_at timestamptz not null, user_id bigint, score int, answer text,
    question text, confluence_url text, id bigint not null);
alter table question_answer attach partition qa_2025
    for values from ('2025-01-01') to ('2025-07-01');
create table qa_rest partition of question_answer default;
insert into question_answer {ROWS};
"""
INHERITED = f"""{CHUNK}
create table question_answer ({COLUMNS});
create table qa_old (legacy text) inherits (question_answer);
create table qa_older () inherits (qa_old);
insert into question_answer {ROWS} limit 3;
insert into qa_old select *, 'x' from ({ROWS} offset 3 limit 2) r;
insert into qa_older select *, 'y' from ({ROWS} offset 5) r;
"""


def ids(path: Path) -> list[int | str]:
    return sorted((row.source_id for row in read_dump(path).questions), key=str)


@pytest.mark.parametrize("format", ["-Fp", "-Fc", "-Ft"])
@pytest.mark.parametrize("options", [(), ("--load-via-partition-root",)], ids=str)
def test_partitions_add_up(format: str, options: tuple[str, ...], make_database: Make) -> None:
    path = make_database(PARTITIONED).dump(format, *options)
    assert ids(path) == [1, 2, 3, 4, 5, 6, 7]
    parsed = read_dump(path)
    assert {(row.question, row.user_id) for row in parsed.questions} == {
        (f"вопрос {n}", n) for n in range(1, 8)
    }
    assert not any("without their rows" in text for text in parsed.warnings)


@pytest.mark.parametrize("format", ["-Fp", "-Fc", "-Ft"])
def test_a_parent_and_its_children_add_up(format: str, make_database: Make) -> None:
    assert ids(make_database(INHERITED).dump(format)) == [1, 2, 3, 4, 5, 6, 7]


def test_chunks_in_partitions(make_database: Make) -> None:
    database = make_database(
        f"""create table chunk (id int, confluence_url text, text text) partition by list (id);
        create table c1 partition of chunk for values in (1);
        create table c2 partition of chunk default;
        insert into chunk values (1, 'u', 'один'), (2, 'u', 'два'), (3, 'v', 'три');
        create table question_answer ({COLUMNS});"""
    )
    assert {row.text for row in read_dump(database.dump("-Fc")).chunks} == {"один", "два", "три"}


@pytest.mark.parametrize("format", ["-Fp", "-Fc"])
def test_rows_left_out_by_t_are_told_with_a_command_that_works(
    format: str, make_database: Make
) -> None:
    database = make_database(PARTITIONED)
    with pytest.raises(DumpError, match="is partitioned") as caught:
        read_dump(database.dump(format, "-t", "chunk", "-t", "question_answer"))
    assert WITH_PARTITIONS in str(caught.value)
    named = re.findall(r"--table-and-children=\S+", WITH_PARTITIONS)
    assert ids(database.dump("-Fc", "-Z6", *named)) == [1, 2, 3, 4, 5, 6, 7]
    # Before version 16; it finds partitions that are named after their table.
    alike = make_database(PARTITIONED.replace("qa_", "question_answer_").replace("parts.", ""))
    patterns = re.findall(r"-t '([^']+)'", WITH_PARTITIONS)
    assert patterns == ["chunk*", "question_answer*"]
    old = alike.dump("-Fc", *(f"--table={pattern}" for pattern in patterns))
    assert 4 in ids(old)


def test_a_partition_without_its_rows_is_told(make_database: Make) -> None:
    path = make_database(PARTITIONED).dump("-Fc", "--exclude-table-data=qa_2025")
    parsed = read_dump(path)
    assert len(parsed.questions) < 7
    assert any("without their rows: public.qa_2025" in text for text in parsed.warnings)


def test_data_without_the_schema_says_what_to_do(make_database: Make) -> None:
    with pytest.raises(DumpError, match="no data of table question_answer"):
        read_dump(make_database(PARTITIONED).dump("-Fp", "--data-only"))


HEAD = """COPY public.chunk (id, url, text) FROM stdin;
1\tu\tт
\\.
"""


def read(tmp_path: Path, script: str) -> list[tuple[int | str, str]]:
    path = tmp_path / "made.sql"
    path.write_text(script, encoding="utf-8")
    return [(row.source_id, row.question) for row in read_dump(path).questions]


def block(table: str, *rows: str, columns: str = "id, question") -> str:
    lines = "".join(f"{row}\n" for row in rows)
    return f"COPY {table} ({columns}) FROM stdin;\n{lines}\\.\n"


def test_several_blocks_of_one_table_add_up_whatever_the_order_of_columns(tmp_path: Path) -> None:
    script = (
        HEAD
        + block("question_answer", "1\tа")
        + block("public.question_answer", "б\t2", columns="question, id")
    )
    assert read(tmp_path, script) == [(1, "а"), (2, "б")]
    with pytest.raises(DumpError, match=r"other columns .*score"):
        read(
            tmp_path,
            HEAD
            + block("question_answer", "1\tа")
            + block("question_answer", "2\tб\t5", columns="id, question, score"),
        )


def test_two_databases_do_not_add_up(tmp_path: Path) -> None:
    one = "\\connect a\n" + HEAD + block("question_answer", "1\tа")
    with pytest.raises(DumpError, match="comes a second time"):
        read(tmp_path, one + one.replace("connect a", "connect b"))


@pytest.mark.parametrize("name", ['public."user"', "admin"])
def test_private_tables_cannot_be_brought_in(name: str, tmp_path: Path) -> None:
    attach = f"ALTER TABLE ONLY question_answer ATTACH PARTITION {name} DEFAULT;\n"
    inherits = f"CREATE TABLE {name} (id int) INHERITS (question_answer);\n"
    for link in (attach, inherits):
        with pytest.raises(DumpError, match="never read"):
            read(tmp_path, HEAD + link + block("question_answer", "1\tа") + block(name, "2\tб"))
        with pytest.raises(DumpError, match="never read"):
            read(tmp_path, HEAD + block(name, "2\tб") + link + block("question_answer", "1\tа"))


def test_unclear_families_are_refused(tmp_path: Path) -> None:
    both = "CREATE TABLE x (\n)\nINHERITS (chunk, question_answer);\n"
    with pytest.raises(DumpError, match="unclear"):
        read(tmp_path, both + HEAD + block("x", "1\tа"))
    circle = "ALTER TABLE a INHERIT question_answer;\nALTER TABLE question_answer INHERIT a;\n"
    assert read(tmp_path, circle + HEAD + block("a", "1\tа")) == [(1, "а")], "a circle ends"
    late = HEAD + block("q1", "1\tа") + "ALTER TABLE question_answer ATTACH PARTITION q1 DEFAULT;\n"
    with pytest.raises(DumpError, match="come before the statement"):
        read(tmp_path, late + block("question_answer", "2\tб"))


def test_words_in_defaults_and_comments_make_no_family(tmp_path: Path) -> None:
    script = """CREATE TABLE other (id int, t text DEFAULT ') INHERITS (question_answer)',
    u text DEFAULT E'\\') PARTITION OF question_answer');
COMMENT ON TABLE other IS 'ALTER TABLE question_answer ATTACH PARTITION other';
"""
    found = read(
        tmp_path, script + HEAD + block("other", "9\tчужое") + block("question_answer", "1\tа")
    )
    assert found == [(1, "а")]


def test_statements_of_pg_dump() -> None:
    relations = Relations()
    for text in (
        "CREATE TABLE public.question_answer (id int DEFAULT (1)) PARTITION BY RANGE (id)",
        'CREATE TABLE s."Q 1" PARTITION OF public.question_answer DEFAULT PARTITION BY HASH (id)',
        'ALTER TABLE ONLY s."Q 1" ATTACH PARTITION public.leaf FOR VALUES WITH (modulus 2)',
        "CREATE FOREIGN TABLE public.far PARTITION OF public.question_answer FOR VALUES IN (1)",
        "ALTER TABLE public.leaf NO INHERIT public.chunk",
    ):
        relations.note(text, "public")
    root = ("public", "question_answer")
    assert relations.root(("public", "leaf"), ["question_answer", "chunk"]) == root
    assert relations.partitioned == {root, ("s", "Q 1")}
    assert relations.children(root) == [("public", "far"), ("public", "leaf")]
    assert relations.root(("public", "other"), ["question_answer"]) is None


@pytest.mark.parametrize(
    "name", ["part_all.sql", "part_all.dump", "part_root.sql", "part_root.dump"]
)
def test_dumps_that_were_refused(name: str, cases: Path) -> None:
    assert ids(cases / name) == [1, 2, 3, 4, 5]


def test_the_dump_of_t_alone(cases: Path) -> None:
    with pytest.raises(DumpError, match="--table-and-children=question_answer"):
        read_dump(cases / "part_t.dump")
