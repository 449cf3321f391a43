"""What a command of ``rag-bench`` left behind, and how the tests call one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def one_line(self) -> str:
        """The one line on stderr of a command that failed as it should."""
        assert self.code == 1, self
        assert "Traceback" not in self.err + self.out, self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("rag-bench: ")
        assert "None" not in self.err
        return self.err


RagBench = Callable[..., Ended]
