"""A cross-encoder so small that a test makes it: a BERT of random weights that reads letters."""

from __future__ import annotations

import json
from pathlib import Path


def build_cross_encoder(
    folder: Path, *, seed: int = 0, n_labels: int = 1, head: bool = True, broken: bool = False
) -> Path:
    """Write a transformers folder.

    Args:
        folder: new.
        seed: of the weights.
        n_labels: numbers per pair; a reranker has one.
        head: without, it is a plain encoder.
        broken: its weights are not finite.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        BertModel,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(seed)
    letters = "abcdefghijklmnopqrstuvwxyzабвгдеёжзийклмнопрстуфхцчшщъыьэюя:?!."
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters]
    tokenizer = Tokenizer(
        models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder.mkdir(parents=True)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=n_labels,
        initializer_range=0.5,
    )
    model = BertForSequenceClassification(config) if head else BertModel(config)
    if broken:
        with torch.no_grad():
            next(model.parameters()).fill_(float("nan"))
    model.save_pretrained(folder)
    return folder


def without_head_weights(folder: Path) -> Path:
    """Take the head's weights out of a folder whose configuration still promises them."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    kept = {name: value for name, value in load_file(file).items() if "classifier" not in name}
    save_file(kept, file, metadata={"format": "pt"})
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
    return folder
