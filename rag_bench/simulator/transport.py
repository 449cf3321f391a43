"""The simulator in process: an httpx transport, no socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.simulator.app import Simulator

if TYPE_CHECKING:
    import httpx


def simulator_transport(simulator: Simulator | None = None) -> httpx.ASGITransport:
    """Return a transport that answers every request from ``simulator``, whatever its host."""
    import httpx

    return httpx.ASGITransport(app=(simulator or Simulator()).app())
