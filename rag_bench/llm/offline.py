"""Names of the offline models: always configured, no key, no network, no price.

They are served by the simulator behind the OpenAI protocol. Everything that a person reads
calls them simulated.
"""

from __future__ import annotations

SIMULATOR = "simulator"
SIMULATOR_BASE_URL = "http://simulator.local/v1"

GENERATORS = (
    "simulator/extractive",
    "simulator/sim-strong",
    "simulator/sim-medium",
    "simulator/sim-weak",
)
BENCHMARK_JUDGES = (
    "simulator/sim-judge-sharp",
    "simulator/sim-judge-noisy",
    "simulator/sim-judge-lenient",
)
PRODUCTION_JUDGES = (
    "simulator/sim-gate-balanced",
    "simulator/sim-gate-strict",
    "simulator/sim-gate-lenient",
)


def is_simulated(model_key: str) -> bool:
    """Return whether a model key names a model of the simulator."""
    return model_key.startswith(f"{SIMULATOR}/")
