"""Any model that sentence-transformers loads, as `rag_bench.retrieval.encoder.Encoder` asks it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag_bench.errors import ConfigurationError
from rag_bench.retrieval.identity import missing_extra
from rag_bench.retrieval.quiet import no_loading_bars

# Tokenizers and models without a stated limit carry a huge number instead.
_NO_LIMIT = 1_000_000


class SentenceModel:
    """A ``SentenceTransformer`` with a tokenizer; a `TextModel`."""

    def __init__(self, model: Any) -> None:
        """Wrap a loaded model."""
        self.model = model
        own = model.max_seq_length or model.tokenizer.model_max_length
        self.own_limit = int(own) if own and own < _NO_LIMIT else None
        # Renamed in sentence-transformers 5.
        dimension = getattr(model, "get_embedding_dimension", None)
        self.dimension = int((dimension or model.get_sentence_embedding_dimension)())
        self.special_ids = frozenset(model.tokenizer.all_special_ids)
        self.pads_right = bool(model.tokenizer.padding_side == "right")

    def tokenize(
        self, texts: Sequence[str], limit: int | None
    ) -> tuple[list[list[int]], np.ndarray]:
        """As of `TextModel`."""
        tokenizer = self.model.tokenizer
        lower = getattr(self.model[0], "do_lower_case", False)
        prepared = [text.lower() if lower else text for text in texts]
        options = {"return_attention_mask": False, "return_token_type_ids": False}
        ids = tokenizer(prepared, verbose=False, **options)["input_ids"]
        n_tokens = np.array([len(item) for item in ids], dtype=np.int64)
        if limit:
            # Cut by the tokenizer itself, which knows where its special tokens go.
            for index in np.flatnonzero(n_tokens > limit):
                ids[index] = tokenizer(
                    prepared[index], truncation=True, max_length=limit, **options
                )["input_ids"]
        return ids, n_tokens

    def forward(self, ids: Sequence[list[int]], padded: int) -> tuple[np.ndarray, np.ndarray]:
        """As of `TextModel`."""
        features = self.model.tokenizer.pad(
            {"input_ids": list(ids)}, padding="max_length", max_length=padded, return_tensors="pt"
        )
        device = self.model.device
        found = self.model({name: value.to(device) for name, value in features.items()})
        vectors: np.ndarray = found["sentence_embedding"].float().cpu().numpy()
        return vectors, found["token_embeddings"].float().cpu().numpy()


def load_folder(folder: Path, name: str) -> SentenceModel:
    """Load the model in a folder; ``name`` is for errors.

    Raises:
        ConfigurationError: it cannot be read, or sentence-transformers is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise missing_extra() from error
    try:
        with no_loading_bars():
            model = SentenceTransformer(str(folder))
    except Exception as error:  # whatever the loader dislikes, the folder's owner must hear of
        raise ConfigurationError(
            f"The encoder {name!r} cannot be loaded from {folder}: {error}"
        ) from error
    if not callable(getattr(model, "tokenizer", None)):
        raise ConfigurationError(
            f"The encoder {name!r} has no transformers tokenizer; choose a "
            "sentence-transformers model that is built on a transformer."
        )
    model.eval()
    return SentenceModel(model)
