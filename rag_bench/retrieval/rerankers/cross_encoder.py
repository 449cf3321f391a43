"""A sentence-transformers cross-encoder on this machine: it reads question and passage together.

Scores are the model's own numbers before any sigmoid, which would make one of all that is very
good: the order is the same, and six decimals are enough. A threshold is a number of this kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag_bench.errors import ConfigurationError
from rag_bench.retrieval.identity import has_weights, hub_folder, missing_extra
from rag_bench.retrieval.quiet import no_loading_bars

#: Part of the content: raise it when the same weights come to other scores.
VERSION = 1
_HEAD = "ForSequenceClassification"


def cross_encoder_folder(model: str, place: str) -> Path:
    """Return the local folder of a cross-encoder, fetching it from the hub if need be.

    Args:
        model: a folder, or a name of the hub.
        place: where it was named, for errors.

    Raises:
        ConfigurationError: no such folder, and no such model in the local cache or on the hub.
    """
    given = Path(model).expanduser()
    if given.is_dir():
        if not has_weights(given):
            raise ConfigurationError(
                f"{place} names the folder {model}, which holds no model: expected config.json "
                "and *.safetensors."
            )
        return given
    if given.is_absolute() or model.startswith((".", "~")):
        raise ConfigurationError(
            f"{place} names {model}, which is not a folder. Name a folder with a "
            "sentence-transformers cross-encoder, or a model of the hub."
        )
    return hub_folder(model, "cross-encoder", f"name a local folder in {place}")


class CrossEncoderScorer:
    """A loaded cross-encoder."""

    at_once = 16

    def __init__(self, model: Any, batch_size: int) -> None:
        self._model = model
        self._batch_size = batch_size

    def read(self, passages: Sequence[str]) -> None:
        """Nothing: it reads a passage together with a question only."""

    def scores(
        self, questions: Sequence[str], places: Sequence[Sequence[int]], passages: Sequence[str]
    ) -> list[np.ndarray]:
        """Return the scores of each question's passages, as of `Scorer`."""
        import torch

        pairs = [
            (question, passages[place])
            for question, row in zip(questions, places, strict=True)
            for place in row
        ]
        if not pairs:
            return [np.zeros(0) for _ in places]
        made = self._model.predict(
            pairs,
            batch_size=self._batch_size,
            show_progress_bar=False,
            activation_fn=torch.nn.Identity(),
        )
        flat = np.asarray(made, dtype=np.float64).reshape(len(pairs))
        ends = np.cumsum([len(row) for row in places])
        return np.split(flat, ends[:-1])


def load_cross_encoder(
    folder: Path, name: str, max_tokens: int | None, batch_size: int
) -> CrossEncoderScorer:
    """Load a cross-encoder.

    Args:
        folder: with the model.
        name: for errors.
        max_tokens: of question and passage together; None: the model's own limit.
        batch_size: pairs per forward pass.

    Raises:
        ConfigurationError: it cannot be loaded, reads less than ``max_tokens``, or is no reranker:
            it has no head, or one with more than one number.
    """
    try:
        from sentence_transformers import CrossEncoder
        from transformers import AutoConfig
    except ImportError as error:
        raise missing_extra() from error
    try:
        with no_loading_bars():
            config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
            labels = int(config.num_labels)
            _check_head(folder, name, config)
            model = CrossEncoder(str(folder), local_files_only=True)
    except ConfigurationError:
        raise
    except Exception as error:  # whatever the loader dislikes, the folder's owner must hear of
        raise ConfigurationError(
            f"The cross-encoder {name!r} cannot be loaded from {folder}: {error}"
        ) from error
    if labels != 1:
        raise ConfigurationError(
            f"The cross-encoder {name!r} gives {labels} numbers for a pair (num_labels), where a "
            "reranker gives one. Name a model that was trained to rerank."
        )
    # Renamed in sentence-transformers 5.
    limit = "max_seq_length" if hasattr(model, "max_seq_length") else "max_length"
    own = getattr(model, limit)
    if max_tokens and own and max_tokens > own:
        raise ConfigurationError(
            f"max_tokens is {max_tokens}, but the cross-encoder {name!r} reads at most {own} "
            "tokens of question and chunk together."
        )
    if max_tokens:
        setattr(model, limit, max_tokens)
    model.eval()
    return CrossEncoderScorer(model, batch_size)


def _check_head(folder: Path, name: str, config: Any) -> None:
    """Refuse a model whose head would be made of random numbers, as loaders do where it lacks."""
    architectures = config.architectures or []
    if (folder / "modules.json").exists() or not architectures:
        # A model of several parts; or the loader has to find out.
        return
    problem = ""
    if not any(architecture.endswith(_HEAD) for architecture in architectures):
        problem = f"it is a {', '.join(architectures)}"
    else:
        from transformers import AutoModelForSequenceClassification

        _, told = AutoModelForSequenceClassification.from_pretrained(
            str(folder), local_files_only=True, output_loading_info=True
        )
        if told["missing_keys"]:
            problem = f"its weights lack {', '.join(sorted(told['missing_keys'])[:3])}"
    if problem:
        raise ConfigurationError(
            f"The cross-encoder {name!r} has no head that scores pairs: {problem}. Name a model "
            "that was trained to rerank."
        )
