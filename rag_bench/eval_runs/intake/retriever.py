"""The retriever that a request names, itself or by its reranker."""

from __future__ import annotations

from dataclasses import dataclass

from rag_bench.errors import RagBenchError
from rag_bench.eval_runs.intake.request import EvalRequest
from rag_bench.retrievers import DEFAULT, HttpReranker, Retriever, rerankers, retrievers
from rag_bench.settings import Settings
from rag_bench.strict_json.places import Place, pointer
from rag_bench.tiers.base.run_retriever import resolved_top_k


@dataclass(frozen=True)
class Retrieval:
    """How chunks are found. ``asks_service``: a reranker that is reached over the network."""

    name: str
    top_k: int
    contexts_per_answer: int
    asks_service: bool


def named_retrieval(request: EvalRequest, settings: Settings, errors: list[Place]) -> Retrieval:
    """Return how the request wants chunks to be found; `default` where it names nothing."""
    found = _named(request.reranker or DEFAULT, settings, errors)
    try:
        top_k = resolved_top_k(settings, found, request.top_k)
    except RagBenchError as error:
        errors.append(Place(str(error), pointer=pointer(["top_k"])))
        top_k = found.candidates
    given = request.contexts_per_answer or min(settings.contexts_per_answer, top_k)
    if request.contexts_per_answer is not None and given > top_k:
        detail = f"A model cannot be given {given} chunks where {top_k} are retrieved (top_k)."
        errors.append(Place(detail, pointer=pointer(["contexts_per_answer"])))
    return Retrieval(found.name, top_k, given, isinstance(found.reranks, HttpReranker))


def _named(name: str, settings: Settings, errors: list[Place]) -> Retriever:
    known = retrievers(settings)
    if name in known:
        return known[name]
    with_it = [one for one in known.values() if one.reranker == name]
    if with_it:
        return with_it[0]
    there = rerankers(settings)
    if name in there:
        detail = (
            f"The reranker {name!r} is configured, and no retriever has it: add a table "
            f'[retrievers.NAME] with reranker = "{name}" (docs/retrieval.md).'
        )
    else:
        detail = (
            f"There is no retriever and no reranker {name!r}. Retrievers: {', '.join(known)}. "
            f"Rerankers: {', '.join(there) or 'none'}. To have it, add it to the file of "
            "RAG_BENCH_RETRIEVERS (docs/retrieval.md)."
        )
    errors.append(Place(detail, pointer=pointer(["reranker"])))
    return known[DEFAULT]
