"""A port that another program has is said to be taken, by every command that serves."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from command_line import RagBench

from rag_bench.cli.ports import is_taken, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize("command", ["api", "dashboard", "simulator", "dev"])
def test_a_taken_port_is_named_with_what_to_do(
    rag_bench: RagBench, taken: int, command: str
) -> None:
    said = rag_bench(command, "--port", str(taken)).one_line()
    assert f"Port {taken} of 127.0.0.1 is taken" in said
    assert f"--port {taken + 1}" in said


def test_a_port_is_free_when_nobody_listens(taken: int) -> None:
    assert is_taken("127.0.0.1", taken)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    require_free("127.0.0.1", port)
    require_free("::1", port)
    require_free("198.51.100.7", port)  # an address of others: the server says so itself
