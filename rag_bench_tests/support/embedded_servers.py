"""Embedded servers as tests start, kill and remove them."""

from __future__ import annotations

import os
import pickle
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag_bench.settings import PROJECT_ROOT
from rag_bench.store.embedded import EmbeddedServer

AS_ROOT = os.geteuid() == 0


only_as_root = pytest.mark.skipif(not AS_ROOT, reason="needs root, to become other users")


START = """
import sys
from pathlib import Path
from rag_bench.store.embedded import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1])).start())
"""


def starter(home: Path) -> subprocess.Popen[str]:
    """Another process that starts the server of a home."""
    return subprocess.Popen(
        [sys.executable, "-c", START, str(home)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)
    return found


def as_user(name: str, work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns in a process of an ordinary user.

    A fork, as the interpreter itself may stand where that user cannot execute it.
    """
    import rag_bench.settings  # noqa: F401  (the child may not be able to import it)

    entry = pwd.getpwnam(name)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover
        try:
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os.environ.update(HOME="/nonexistent", TMPDIR="/tmp")
            result = pickle.dumps((True, work()))
        except BaseException as error:
            result = pickle.dumps((False, repr(error)))
        with os.fdopen(writer, "wb") as file:
            file.write(result)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        content = file.read()
    os.waitpid(pid, 0)
    succeeded, value = pickle.loads(content)
    assert succeeded, value
    return value


def stray_sleeper(user: str | None) -> subprocess.Popen[bytes]:
    """A living process that has nothing to do with us, of the user that runs the server."""
    entry = pwd.getpwnam(user) if user else None
    identity: dict[str, Any] = (
        {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if entry else {}
    )
    return subprocess.Popen(["sleep", "300"], cwd="/", **identity)


def postmaster(server: EmbeddedServer) -> int:
    return int((server.data / "postmaster.pid").read_text().split("\n", 1)[0])


def kill(server: EmbeddedServer) -> None:
    """kill -9 of the postmaster."""
    pid = postmaster(server)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}/cwd").exists())


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def remove(server: EmbeddedServer) -> None:
    if (server.data / "postmaster.pid").exists():
        server.stop()
    for folder in (server.base, server.socket_dir):
        shutil.rmtree(folder, ignore_errors=True)
