"""Which process is meant: an identity that no later process of the same id has; and how a process
of ours looks for garbage.

psutil knows processes on every system; reading /proc by hand works on Linux only.
"""

from __future__ import annotations

import gc
import os
import socket
from contextlib import suppress
from pathlib import Path

#: Seconds. Two processes of one id start further apart; a corrected clock moves a start by less.
_SAME_START = 2.0
#: New objects after which Python looks for garbage in cycles; its own default is 700.
_OBJECTS_BETWEEN_LOOKS = 50_000


def look_for_garbage_rarely() -> None:
    """Have this process look for garbage in cycles less often than Python does by default.

    Loading Dagster and the libraries makes a million objects that stay, which are looked through
    again and again meanwhile: a sixth of a small sweep's work. Nearly all that a run makes is freed
    without such a look.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])


def keep_out_of_garbage() -> None:
    """Have no look for garbage go through what this process has loaded by now.

    Libraries stay until its end, and a look through a million objects holds up each request.
    """
    gc.collect()
    gc.freeze()


def process_identity(pid: int) -> str | None:
    """Return ``host:pid:start`` of a live process of this machine, None if there is none.

    The start, in seconds of the epoch with two decimals, tells a process from a later one that got
    the same id.
    """
    started = _started(pid)
    return None if started is None else f"{socket.gethostname()}:{pid}:{started:.2f}"


def pid_here(identity: str) -> int | None:
    """Return the process id in an identity of this machine; None of any other text."""
    host, _, rest = identity.partition(":")
    pid = rest.partition(":")[0]
    return int(pid) if host == socket.gethostname() and pid.isdecimal() else None


def is_running(identity: str) -> bool:
    """Whether the process of an identity of this machine is still at work."""
    pid = pid_here(identity)
    started = None if pid is None else _started(pid)
    if started is None:
        return False
    with suppress(ValueError):
        return abs(started - _start_in(identity)) < _SAME_START
    return False


def works_in(folder: Path) -> bool | None:
    """Whether any process has this folder as its working directory; None: nobody can tell.

    Processes of other users show theirs to root only.
    """
    import psutil

    told = False
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()) == folder:
                return True
            told = True
    return False if told else None


def _started(pid: int) -> float | None:
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        # A zombie has ended; only its parent has not looked yet.
        if process.status() != psutil.STATUS_ZOMBIE:
            return float(process.create_time())
    return None


def _start_in(identity: str) -> float:
    """Return the start in an identity; versions before 0.2 gave the kernel's ticks since boot."""
    start = identity.rpartition(":")[2]
    if "." in start:
        return float(start)
    import psutil

    return float(psutil.boot_time()) + int(start) / os.sysconf("SC_CLK_TCK")
