"""From a declared reranker to one that can be asked: what its scores depend on, and its model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rag_bench.retrieval.rerankers import cross_encoder, late_interaction
from rag_bench.retrievers import CrossEncoder, LateInteraction

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.retrieval.encoder import Encoder
    from rag_bench.retrieval.rerankers.local import LocalReranker, Scorer
    from rag_bench.settings import Settings

# The newest one, with the token vectors of chunks that it keeps: a process that measures tier 1 by
# several retrievers, and then single queries, encodes each chunk once.
_held: dict[str, Scorer] = {}

_PLACE = "A [rerankers.…] table of kind cross_encoder"


def local_content(spec: LateInteraction | CrossEncoder, settings: Settings) -> dict[str, Any]:
    """Return all that the scores of a reranker of this machine depend on, weights included.

    Neither names nor folders: the same weights in another place are the same reranker.

    Raises:
        ConfigurationError: the model is not here and cannot be fetched.
    """
    from rag_bench.retrieval.identity import encoder_identity
    from rag_bench.retrieval.weights_hash import weights_hash

    if isinstance(spec, LateInteraction):
        return {
            "kind": spec.kind,
            "encoder": encoder_identity(settings).key,
            "version": late_interaction.VERSION,
        }
    folder = cross_encoder.cross_encoder_folder(spec.model, _PLACE)
    return {
        "kind": spec.kind,
        "weights": weights_hash(folder, settings.home),
        "max_tokens": spec.max_tokens,
        "version": cross_encoder.VERSION,
    }


def open_local(
    spec: LateInteraction | CrossEncoder,
    engine: Engine,
    settings: Settings,
    encoder: Callable[[], Encoder] | None = None,
) -> LocalReranker:
    """Return a reranker of this machine over the store of scores; raises as `local_content`.

    ``encoder`` returns the settings' encoder where it is loaded already; None: it is loaded here.
    """
    from rag_bench.retrieval.rerankers.local import LocalReranker

    name = spec.model if isinstance(spec, CrossEncoder) else spec.kind
    return LocalReranker(
        name, local_content(spec, settings), engine, partial(_load, spec, settings, encoder)
    )


def _load(
    spec: LateInteraction | CrossEncoder,
    settings: Settings,
    encoder: Callable[[], Encoder] | None,
) -> Scorer:
    if isinstance(spec, CrossEncoder):
        folder = cross_encoder.cross_encoder_folder(spec.model, _PLACE)
        return cross_encoder.load_cross_encoder(
            folder, spec.model, spec.max_tokens, spec.batch_size
        )
    from rag_bench.retrieval.encoder import load_encoder
    from rag_bench.retrieval.identity import encoder_identity

    key = encoder_identity(settings).key
    if key not in _held:
        _held.clear()
        loaded = encoder() if encoder else load_encoder(settings)
        _held[key] = late_interaction.LateInteraction(loaded)
    return _held[key]
