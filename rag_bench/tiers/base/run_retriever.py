"""The retriever of a run: the one that its settings name, and what of it is hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.retrievers import DEFAULT, HttpReranker, LateInteraction, retriever_named
from rag_bench.searches import RETRIEVER_SEARCH_OF, RETRIEVER_SEARCHES

if TYPE_CHECKING:
    from rag_bench.retrievers import RerankerSpec, Retriever
    from rag_bench.searches import Search
    from rag_bench.settings import Settings


def chosen(settings: Settings, name: str, search: Search | None) -> Retriever:
    """Return the retriever of a run.

    Args:
        settings: of the environment.
        name: as the run config names it; empty: ``default``.
        search: as the run config states it, for ``default``; None: the settings'.

    Raises:
        RagBenchError: no such retriever, or a search is stated for one that has its own.
    """
    found = retriever_named(settings, name or DEFAULT)
    if search is None:
        return found
    if found.name != DEFAULT:
        raise RagBenchError(
            f"search is {search!r}, and the retriever {found.name!r} searches by {found.search!r}: "
            f"leave search empty, or take the retriever {DEFAULT!r}."
        )
    return found.model_copy(update={"search": RETRIEVER_SEARCH_OF[search]})


def settings_of(settings: Settings, retriever: Retriever) -> Settings:
    """Return the settings with a retriever's own encoder, for retrieval alone.

    The cut that the settings ask for is meant for their encoder; another one has its own.
    """
    if not retriever.reads_vectors or retriever.encoder in ("", settings.encoder):
        return settings
    return settings.model_copy(update={"encoder": retriever.encoder, "encoder_max_tokens": None})


def hashed_content(settings: Settings, retriever: Retriever) -> dict[str, Any] | None:
    """Return what of a retriever is a part of the settings' address; None of ``default``.

    An encoder is hashed by its address, as two folders of one name may hold two models, and
    BM25 with the version of how texts become terms.

    Raises:
        ConfigurationError: its encoder is not there.
    """
    if retriever.name == DEFAULT:
        return None
    content = retriever.content()
    own = settings_of(settings, retriever)
    if own is settings:
        content.pop("encoder", None)
    elif "encoder" in content:
        content["encoder"] = _encoder_key(own, retriever)
    if "bm25" in content:
        from rag_bench.retrieval import bm25

        content["bm25"] = bm25.content(retriever.bm25)
    if retriever.reranks is not None:
        content["reranker"] = _hashed_reranker(settings, retriever.reranks)
    return content


def _hashed_reranker(settings: Settings, spec: RerankerSpec) -> dict[str, Any]:
    """Return what of a reranker is a part of the settings' address: of one on this
    machine its weights, wherever they lie.

    Raises:
        ConfigurationError: its model is not there.
    """
    if isinstance(spec, HttpReranker):
        return spec.content()
    from rag_bench.retrieval.rerankers.opening import local_content

    content = local_content(spec, settings)
    if isinstance(spec, LateInteraction):
        del content["encoder"]  # the settings' own, which is a part of their address already
    return content


def _encoder_key(own: Settings, retriever: Retriever) -> str:
    from rag_bench.retrieval.identity import encoder_identity

    try:
        return encoder_identity(own).key
    except ConfigurationError as error:
        # Its words are about the settings' encoder, and this is another place.
        raise ConfigurationError(f"[retrievers.{retriever.name}], encoder: {error}") from None


def search_word(retriever: Retriever) -> str:
    """Return what a run's settings call its search: released words stay as they are."""
    return RETRIEVER_SEARCHES[retriever.search].word or retriever.search


def resolved_top_k(settings: Settings, retriever: Retriever, stated: int | None) -> int:
    """Return how many chunks are retrieved: as the run states, else the retriever, the settings.

    Raises:
        RagBenchError: more than the retriever looks at.
    """
    top_k = stated or retriever.top_k or settings.top_k
    if retriever.is_deep and top_k > retriever.candidates:
        raise RagBenchError(
            f"top_k is {top_k}, but the retriever {retriever.name!r} chooses among "
            f"{retriever.candidates} candidates of each search: raise candidates in its table, or "
            "lower top_k."
        )
    return top_k


def resolved_threshold(settings: Settings, retriever: Retriever) -> float | None:
    """Return the least score of a chunk given to a generator; None: there is none.

    The settings' one is a cosine, which says nothing of scores of another kind.
    """
    if retriever.threshold is not None:
        return retriever.threshold
    return settings.retrieval_threshold if retriever.gives_cosines else None
