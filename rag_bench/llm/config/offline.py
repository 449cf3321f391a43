"""Names of the offline models: always configured, no key, no network, no price.

They are served by the simulator behind the OpenAI protocol. Everything that a person reads
calls them simulated.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag_bench.errors import ConfigurationError

SIMULATOR = "simulator"
SIMULATOR_BASE_URL = "http://simulator.local/v1"

#: What runs where nothing is configured: few enough for every partition to be looked at.
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

#: All that there are: ten of each role, chosen by name, by a list (``SIMULATOR_GEN_MODELS``) or,
#: all at once, by ``--generation-model-source simulator`` and its like.
ALL_GENERATORS = (
    *GENERATORS,
    "simulator/sim-careful",
    "simulator/sim-bold",
    "simulator/sim-chatty",
    "simulator/sim-terse",
    "simulator/sim-unsteady",
    "simulator/sim-uncited",
)
ALL_BENCHMARK_JUDGES = (
    *BENCHMARK_JUDGES,
    "simulator/sim-judge-strict",
    "simulator/sim-judge-steady",
    "simulator/sim-judge-moody",
    "simulator/sim-judge-generous",
    "simulator/sim-judge-blunt",
    "simulator/sim-judge-fragile",
    "simulator/sim-judge-blind",
)
ALL_PRODUCTION_JUDGES = (
    *PRODUCTION_JUDGES,
    "simulator/sim-gate-sharp",
    "simulator/sim-gate-shy",
    "simulator/sim-gate-open",
    "simulator/sim-gate-even",
    "simulator/sim-gate-fragile",
    "simulator/sim-gate-blunt",
    "simulator/sim-gate-coin",
)


def is_simulated(model_key: str) -> bool:
    """Return whether a model key names a model of the simulator."""
    return model_key.startswith(f"{SIMULATOR}/")


def require(model_key: str, offered: Sequence[str]) -> None:
    """Raise ConfigurationError for a model of the simulator that is none of those of its role."""
    if is_simulated(model_key) and model_key not in offered:
        raise ConfigurationError(
            f"There is no offline model {model_key!r} of this role; "
            f"there are: {', '.join(offered)}."
        )
