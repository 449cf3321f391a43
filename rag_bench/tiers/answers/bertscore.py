"""BERTScore of answers against references, by a model on this machine (Zhang et al. 2020).

The embedding and the greedy matching are bert-score's own; loading and batching are not: its
scorer downloads by name, takes any path with "t5" in it for a T5, and batches in the order of a
set, which differs between processes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError, ConfigurationError, ErrorCode
from rag_bench.evaluation.precision import settled
from rag_bench.retrieval.identity import encoder_folder, encoder_weights
from rag_bench.retrieval.quiet import no_loading_bars
from rag_bench.retrieval.weights_hash import weights_hash
from rag_bench.settings import Settings

if TYPE_CHECKING:
    import torch

SETTING = "RAG_BENCH_BERTSCORE_MODEL"
#: In place of a folder: the encoder that retrieval uses.
ENCODER = "encoder"
_BATCH = 32
_IDS = "input_ids"
_FRAME = 2  # the tokens around every text: [CLS] and [SEP]
# The names that configurations of encoders have for the number of layers.
_LAYER_KEYS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
# Tokenizers without a stated limit carry a huge number instead.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class BertScoreModel:
    """Which model scores, known without loading it.

    Attributes:
        name: For the records: the folder's own name.
        weights: The hash of its files.
        layers: The token vectors are those after so many layers.
    """

    folder: Path
    name: str
    weights: str
    layers: int

    def as_json(self) -> dict[str, Any]:
        """Return what decides the scores, for the records and the input hash."""
        return {"model": self.name, "weights": self.weights, "layers": self.layers}


@dataclass(frozen=True)
class BertScore:
    """Precision, recall and F1 of one answer; ``truncated``: the model read only the beginning of
    the answer or of the reference.
    """

    precision: float
    recall: float
    f1: float
    truncated: bool = False


def bertscore_model(settings: Settings) -> BertScoreModel | None:
    """Return the model that the settings name; None: BERTScore is not wanted.

    Raises:
        ConfigurationError: no folder with a model, or it has not so many layers.
    """
    if not settings.bertscore_model:
        return None
    if settings.bertscore_model == ENCODER:
        given, weights = encoder_folder(settings), encoder_weights(settings)
    else:
        given, weights = Path(settings.bertscore_model).expanduser(), None
    # Older sentence-transformers folders keep the transformer one level down.
    folder = next(
        (f for f in (given, given / "0_Transformer") if (f / "config.json").is_file()), None
    )
    if folder is None:
        raise ConfigurationError(
            f"{SETTING} is {settings.bertscore_model}, where there is no model: name a folder of "
            f"this machine with config.json, weights and tokenizer, or {ENCODER!r}. Nothing is "
            "fetched."
        )
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    there = next((config[key] for key in _LAYER_KEYS if isinstance(config.get(key), int)), None)
    if there is None or config.get("is_encoder_decoder"):
        raise ConfigurationError(
            f"{SETTING}: {folder} is no encoder such as BERT (its config.json names "
            f"{config.get('model_type', 'no kind of model')})."
        )
    layers = settings.bertscore_layers or max(1, round(there * 3 / 4))
    if layers > there:
        raise ConfigurationError(
            f"RAG_BENCH_BERTSCORE_LAYERS is {layers}, but {folder} has {there} layers."
        )
    weights = weights or weights_hash(folder, settings.home)
    return BertScoreModel(folder, given.resolve().name, weights, layers)


class BertScorer:
    """A loaded model that scores pairs of texts."""

    def __init__(self, model: BertScoreModel) -> None:
        """Load the model from its folder.

        Raises:
            ConfigurationError: it cannot be loaded, or bert-score is not installed.
        """
        try:
            import torch
            from bert_score import utils
            from transformers import AutoConfig, AutoModel, AutoTokenizer
        except ImportError as error:
            raise ConfigurationError(
                f"{SETTING} needs bert-score and torch: pip install 'rag-bench[metrics,embed]'"
            ) from error
        self._utils = utils
        folder, here = str(model.folder), {"local_files_only": True}
        try:
            with no_loading_bars(), _no_loading_report():
                config = AutoConfig.from_pretrained(folder, **here)
                config.num_hidden_layers = model.layers
                self._tokenizer = AutoTokenizer.from_pretrained(folder, **here)
                loaded = AutoModel.from_pretrained(
                    folder, config=config, dtype=torch.float32, **here
                )
        except Exception as error:  # whatever the loaders dislike, the folder's owner must hear of
            raise ConfigurationError(
                f"{SETTING}: the model in {model.folder} cannot be loaded: {error}"
            ) from error
        if None in (
            self._tokenizer.cls_token_id,
            self._tokenizer.sep_token_id,
            self._tokenizer.pad_token_id,
        ):
            raise ConfigurationError(
                f"{SETTING}: the tokenizer in {model.folder} has no [CLS], [SEP] or padding token; "
                "BERTScore is defined for encoders such as BERT."
            )
        if self._tokenizer.model_max_length > _NO_LIMIT:
            # Two fewer than there are positions: RoBERTa's kin count theirs from 2.
            self._tokenizer.model_max_length = config.max_position_embeddings - 2
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = loaded.eval().to(self._device)

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[BertScore | CaseError]:
        """Score (answer, reference) pairs; a pair's score does not depend on the others but for
        rounding (1e-6).

        A CaseError stands where a text has no token at all, or P + R is not above 0.
        """
        import torch

        texts = sorted({text for pair in pairs for text in pair}, key=lambda t: (-len(t), t))
        # bert-score's way with an empty text fails in transformers 5; there is nothing to embed.
        n_tokens = {text: len(self._tokenizer(text.strip(), verbose=False)[_IDS]) for text in texts}
        texts = [text for text in texts if n_tokens[text] > _FRAME]
        with torch.inference_mode():
            known: dict[str, _Embedded | None] = {
                text: found
                for start in range(0, len(texts), _BATCH)
                for text, found in self._embed(texts[start : start + _BATCH], n_tokens)
            }
            return [self._pair(known.get(a), known.get(r)) for a, r in pairs]

    def _embed(
        self, texts: list[str], n_tokens: Mapping[str, int]
    ) -> Iterator[tuple[str, _Embedded]]:
        # Every token weighs 1, but for those that the tokenizer puts around a text.
        weights: dict[int, float] = defaultdict(lambda: 1.0)
        weights[self._tokenizer.cls_token_id] = weights[self._tokenizer.sep_token_id] = 0.0
        vectors, mask, idf = self._utils.get_bert_embedding(
            texts, self._model, self._tokenizer, weights, device=self._device
        )
        for row, text in enumerate(texts):
            n = int(mask[row].sum())
            yield text, _Embedded(vectors[row, :n].cpu(), idf[row, :n].cpu(), n_tokens[text] > n)

    def _pair(self, answer: _Embedded | None, reference: _Embedded | None) -> BertScore | CaseError:
        if answer is None or reference is None:
            return _error(f"the {'answer' if answer is None else 'reference'} has no token")
        # bert-score divides in place, so it gets copies.
        arguments: list[torch.Tensor] = []
        for side in (reference, answer):
            weights = side.weights.unsqueeze(0).clone()
            arguments += [side.vectors.unsqueeze(0).clone(), (weights >= 0), weights]
        precision, recall, f1 = (float(x) for x in self._utils.greedy_cos_idf(*arguments))
        if not precision + recall > 0:
            return _error(f"F1 is not defined for precision {precision:g} and recall {recall:g}")
        truncated = answer.truncated or reference.truncated
        return BertScore(_cosine(precision), _cosine(recall), _cosine(f1), truncated)


@dataclass(frozen=True)
class _Embedded:
    """A text's token vectors (n, d), their weights (n), and whether the text was cut."""

    vectors: torch.Tensor
    weights: torch.Tensor
    truncated: bool


def _error(detail: str) -> CaseError:
    return CaseError(ErrorCode.METRIC_ERROR, detail)


def _cosine(value: float) -> float:
    """Return a mean of cosines, rounded; float32 makes 1.0000001 of identical texts."""
    return settled(min(1.0, value))


@contextmanager
def _no_loading_report() -> Iterator[None]:
    """Keep quiet about the layers that are left out on purpose."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
