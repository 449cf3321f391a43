"""Puts the parts together: an open client for every configured model, the offline ones included."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rag_bench.settings import Settings

if TYPE_CHECKING:
    import httpx
    from sqlalchemy import Engine

    from rag_bench.tiers.base.models import Models


@asynccontextmanager
async def open_models(settings: Settings, engine: Engine) -> AsyncIterator[Models]:
    """Open the client whose calls go through the ledger in the engine's database.

    The offline models are served in this process, behind the same protocol as the paid ones.

    Raises:
        ConfigurationError: the environment names providers or models that cannot be meant.
    """
    from rag_bench.llm.config.providers import Providers
    from rag_bench.llm.transport.client import ChatModels
    from rag_bench.simulator.answer_key import answer_key_from_database
    from rag_bench.simulator.app import Simulator
    from rag_bench.simulator.serving import current_serving
    from rag_bench.simulator.transport import simulator_transport
    from rag_bench.simulator.truth import PostgresTruth
    from rag_bench.store.eval_runs.model_revisions import revisions
    from rag_bench.tiers.base.models import Models

    providers = Providers.from_environment()
    url = engine.url.render_as_string(hide_password=False)

    serving = current_serving()

    def simulated() -> httpx.AsyncBaseTransport:
        key, truth = answer_key_from_database(engine), PostgresTruth(engine)
        return simulator_transport(Simulator(key, truth, serving=serving))

    changed = revisions(engine)
    async with ChatModels(
        providers, url, settings, transports={"simulator": simulated}, revisions=changed
    ) as chat_models:
        yield Models(chat_models, providers, settings.concurrency, revisions=changed)
