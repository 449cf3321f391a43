"""The hash of a model's files, cheap after the first time."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from rag_bench.hashing import content_hash, file_sha256

_MEMO = "weights_hashes.json"
# Files that do not change what the model gives, and copies of the weights for other runtimes.
_IGNORED_SUFFIXES = {".md", ".png", ".gitattributes", ".h5", ".msgpack", ".ot", ".onnx"}
_IGNORED_FOLDERS = {"onnx", "openvino", "coreml", "__pycache__", "checkpoints", "runs"}
_SAFE_WEIGHTS = "model.safetensors"
_OLD_WEIGHTS = "pytorch_model.bin"


def weights_hash(path: Path, home: Path) -> str:
    """Return the sha256 (hex) of a model file, or of a model folder's files by relative path.

    A file is read once: its hash is remembered under ``home`` by path, size and time of change.

    Args:
        path: A file, or a folder with a sentence-transformers or transformers model.
        home: This machine's state folder; the memo is kept in its ``models`` folder.
    """
    memo_path = home / "models" / _MEMO
    memo = _read(memo_path)
    known = dict(memo)

    def of(file: Path) -> str:
        status = file.stat()
        stamp = f"{status.st_size}:{status.st_mtime_ns}"
        name = str(file.resolve())
        if (entry := known.get(name)) is None or entry[0] != stamp:
            known[name] = [stamp, file_sha256(file)]
        return known[name][1]

    if path.is_file():
        result = of(path)
    else:
        result = content_hash(
            {file.relative_to(path).as_posix(): of(file) for file in model_files(path)}
        )
    if known != memo:
        _write(memo_path, known)
    return result


def model_files(folder: Path) -> list[Path]:
    """Return the files of a model folder that decide its vectors, sorted by path."""
    files = []
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if not file.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        if _IGNORED_FOLDERS.intersection(inside.parts) or file.suffix in _IGNORED_SUFFIXES:
            continue
        # A folder may hold the same weights twice; only the safe copy is loaded.
        if file.name == _OLD_WEIGHTS and (file.parent / _SAFE_WEIGHTS).exists():
            continue
        files.append(file)
    return files


def _read(path: Path) -> dict[str, list[str]]:
    with contextlib.suppress(OSError, ValueError):
        memo = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(memo, dict):
            return memo
    return {}


def _write(path: Path, memo: dict[str, list[str]]) -> None:
    """Replace the memo at once. It saves time only: failing to write it is no error."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(memo, file)
        Path(name).replace(path)
