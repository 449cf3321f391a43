"""Models that may be called changed behind their names: those configured, and rerankers' services.

A local encoder or reranker needs none of it: its results are addressed by its weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.providers import Providers, Role
from rag_bench.retrievers import HttpReranker, rerankers, retrievers
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from rag_bench.settings import Settings


def service_keys(settings: Settings) -> Mapping[str, str]:
    """Return the key, ``<provider>/<model>``, of each reranker that is a service, by the name of
    its table; that of a service with one model only ends in its host.

    Raises:
        ConfigurationError: the file of retrievers cannot be meant.
    """
    from rag_bench.llm.tasks.reranking import service_key

    return {
        name: service_key(spec.provider, spec.url, spec.model)
        for name, spec in rerankers(settings).items()
        if isinstance(spec, HttpReranker)
    }


def retrievers_of(model: str, settings: Settings) -> list[str]:
    """Return the names of the retrievers whose chunks this service puts in order; raises as
    `service_keys`.
    """
    keys = service_keys(settings)
    return [name for name, one in retrievers(settings).items() if keys.get(one.reranker) == model]


def service_of(retriever: str, settings: Settings) -> str | None:
    """Return the key of the service that puts a retriever's chunks in order; None: there is no
    such retriever now, or it has none; raises as `service_keys`.
    """
    found = retrievers(settings).get(retriever)
    return service_keys(settings).get(found.reranker) if found else None


def changeable(models: Iterable[str], settings: Settings) -> list[str]:
    """Return the keys of all models that may be called changed: these, then rerankers' services,
    each once; raises as `service_keys`.
    """
    return list(dict.fromkeys([*models, *service_keys(settings).values()]))


def configured_model(name: str) -> str:
    """Return the key of a configured model, by its key, by a name that only one provider lists, or
    by the name of a reranker's table in the file of retrievers.

    Raises:
        ConfigurationError: there is none, or several have this name.
    """
    settings, providers = get_settings(), Providers.from_environment()
    judges = (Role.benchmark_judge, Role.production_judge)
    judging = [key for role in judges for key in providers.models_for(role)]
    keys = changeable([*providers.generators(), *judging], settings)
    if name in keys:
        return name
    found = [key for key in keys if name == key.partition("/")[2]]
    table = service_keys(settings).get(name)
    found += [table] if table and table not in found else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(f"Several models have this name: {', '.join(found)}.")
    raise ConfigurationError(f"No such model is configured; there are {', '.join(keys)}.")
