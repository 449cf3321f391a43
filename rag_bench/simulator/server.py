"""The simulator as a server of its own, for clients in other processes."""

from __future__ import annotations

from rag_bench.simulator.app import Simulator


def serve(host: str = "127.0.0.1", port: int = 8089, simulator: Simulator | None = None) -> None:
    """Serve the offline models at ``http://host:port/v1`` until interrupted."""
    import uvicorn

    uvicorn.run((simulator or Simulator()).app(), host=host, port=port, log_level="warning")
