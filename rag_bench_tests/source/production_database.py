"""A database in the production schema, and PostgreSQL's own pg_dump for it."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import psycopg

from rag_bench.store.embedded import EmbeddedServer, pg_bin

OWNER = "voprosalych_owner"
READER = "voprosalych_reader"

# The production schema, with what a dump of it may bring along: owners, grants, an extension,
# a function, a trigger, a view, an index, foreign keys, secrets in other tables.
SCHEMA = f"""
create extension if not exists vector;
create table "user" (
    id serial primary key, vk_id bigint unique, telegram_id bigint unique,
    is_subscribed boolean not null, created_at timestamptz default now(), updated_at timestamptz);
create table admin (
    id serial primary key, name text, surname text, last_name text, email text unique,
    department text, password_hash text not null, created_at timestamptz, updated_at timestamptz);
create type holiday_types as enum ('fixed', 'floating');
create table holiday_template (id serial primary key, name text, type holiday_types);
create table alembic_version (version_num varchar(32) primary key);
create table chunk (
    id serial primary key, confluence_url text not null, text text not null,
    embedding vector(3) not null, created_at timestamptz default now(), updated_at timestamptz);
create table question_answer (
    id serial primary key, question text not null, embedding vector(3), answer text,
    confluence_url text, score integer, user_id integer not null references "user"(id),
    created_at timestamptz, updated_at timestamptz, stop_point boolean not null default false);
create index chunk_ann on chunk using hnsw (embedding vector_cosine_ops);
create view rated as select id, score from question_answer where score is not null;
create function touch() returns trigger language plpgsql as $body$
begin
    -- The next two lines look like table data and are none.
    execute 'select 1';
    /*
COPY public.chunk (id, confluence_url, text, embedding, created_at, updated_at) FROM stdin;
666\thttp://evil\tвзлом\t[1,2,3]\t\\N\t\\N
\\.
    */
    new.updated_at := now();
    return new;
end
$body$;
create function counted() returns bigint language sql
begin atomic
    select count(*) from question_answer;
    select case when true then count(*) end from chunk;
end;
create function quoted() returns text language sql as
'select ''
COPY public.chunk (id, confluence_url, text, embedding, created_at, updated_at) FROM stdin;
''::text';
create trigger touched before update on chunk for each row execute function touch();
create rule kept as on delete to admin do instead (select 1; select 2);
comment on table chunk is 'База знаний;
COPY public.chunk (id, confluence_url, text, embedding, created_at, updated_at) FROM stdin;';
grant select on chunk to {READER};
alter table chunk owner to {OWNER};
alter table question_answer owner to {OWNER};
alter function touch() owner to {OWNER};
"""

CHUNKS = [
    (
        "https://kb.example/p/1",
        "Стипендия назначается\nдважды в год.\tПодробнее: C:\\справка\\новая\n\\.\nконец",
    ),
    ("https://kb.example/p/1", "Заявление подают до 15-го числа.\r\nВторая строка, \\N и \\t."),
    (
        "https://kb.example/p/2?id=1&x=%20",
        "Общежитие: «ёлочки», 'кавычки', \"двойные\", $$деньги$$; -- не комментарий",
    ),
    (
        "https://kb.example/p/3",
        "COPY public.chunk (id, confluence_url, text) FROM stdin;\n1\tа\tб\n\\.",
    ),
    ("https://kb.example/en", "Library cards \b\f\v are issued in room 12 \U0001f600."),
]
QUESTIONS = [
    (1, "как получить стипендию", "Подайте заявление.", "https://kb.example/p/1", 5, False),
    (2, "где общага\\?", "", None, None, True),
    (3, "привет\tкак дела\nчто делать", None, None, 1, False),
    (7, "INSERT INTO chunk VALUES (1);", "COPY x FROM stdin;", None, None, False),
]


def fill(connection: psycopg.Connection[tuple[object, ...]], first_id: int = 1) -> None:
    """Put the rows above into an empty production schema; chunk ids start at ``first_id``."""
    connection.execute("""insert into "user" values (42, 1, 2, true, now(), null)""")
    connection.execute(
        "insert into admin values (1, 'А', 'Б', null, %s, 'ЕД', 'pbkdf2:sha256:secret')",
        ["COPY public.chunk (id) FROM stdin;"],
    )
    connection.execute("insert into alembic_version values ('86c962b93381')")
    for number, (url, text) in enumerate(CHUNKS):
        connection.execute(
            "insert into chunk values (%s, %s, %s, '[1,2,3]', '2026-02-13 12:00:01.5+05', null)",
            [first_id + number, url, text],
        )
    for number, question, answer, page, score, stop in QUESTIONS:
        connection.execute(
            "insert into question_answer values "
            "(%s, %s, null, %s, %s, %s, 42, '2026-02-13 12:00:00+05', null, %s)",
            [number, question, answer, page, score, stop],
        )


@dataclass
class Database:
    """A throw-away database on the embedded server, and pg_dump for it."""

    server: EmbeddedServer
    name: str
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url, autocommit=True)

    def dump(self, *options: str, name: str | None = None) -> Path:
        """Run pg_dump and return the file (or folder) that it made."""
        path = self.folder / (name or f"{uuid.uuid4().hex[:8]}.dump")
        subprocess.run(
            [str(pg_bin() / "pg_dump"), *options, f"--file={path}", self.url],
            check=True,
            capture_output=True,
            env={"PATH": os.defpath, "LC_ALL": "C"},
        )
        return path


def create(server: EmbeddedServer, folder: Path) -> Database:
    """Create an empty database whose dumps go to ``folder``."""
    name = f"test_source_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
        for role in (OWNER, READER):
            if not admin.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                admin.execute(f'create role "{role}"')
    return Database(server, name, folder)


def drop(database: Database) -> None:
    with psycopg.connect(database.server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'drop database "{database.name}" with (force)')


def gzipped(path: Path, folder: Path) -> Path:
    """Gzip a file into a folder."""
    packed = folder / f"{path.stem}.gz"
    with path.open("rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    return packed
