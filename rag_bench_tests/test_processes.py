"""Processes are told from later ones of the same id, from zombies, and by identities of before."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rag_bench.processes import is_running, pid_here, process_identity, works_in


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "300"], cwd=tmp_path) as process:
        yield process
        process.kill()


def test_an_identity_is_of_one_process_only(sleeper: subprocess.Popen[bytes]) -> None:
    own = process_identity(os.getpid())
    assert own
    assert own.startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert process_identity(os.getpid()) == own, "it does not change"
    assert is_running(own)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert process_identity(sleeper.pid) is None, "a zombie executes nothing"


def test_a_later_process_of_the_same_id_is_another(sleeper: subprocess.Popen[bytes]) -> None:
    identity = process_identity(sleeper.pid)
    assert identity
    assert is_running(identity)
    host, pid, start = identity.split(":")
    assert not is_running(f"{host}:{pid}:{float(start) - 60:.2f}")
    sleeper.kill()
    sleeper.wait()
    assert not is_running(identity)


def test_identities_of_versions_before_are_read(sleeper: subprocess.Popen[bytes]) -> None:
    ticks = round(
        (psutil.Process(sleeper.pid).create_time() - psutil.boot_time()) * os.sysconf("SC_CLK_TCK")
    )
    before = f"{socket.gethostname()}:{sleeper.pid}:{ticks}"
    assert is_running(before)
    assert not is_running(f"{before}0")


@pytest.mark.parametrize("text", ["", "by hand", "elsewhere:1:2.00", f"{socket.gethostname()}:x:1"])
def test_what_is_no_identity_of_here_is_nobody(text: str) -> None:
    assert pid_here(text) is None
    assert not is_running(text)


def test_a_start_that_is_no_number_is_nobody() -> None:
    assert not is_running(f"{socket.gethostname()}:{os.getpid()}:soon")


def test_who_works_in_a_folder(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert works_in(tmp_path.resolve()) is True
    sleeper.kill()
    sleeper.wait()
    assert works_in(tmp_path.resolve()) is False
