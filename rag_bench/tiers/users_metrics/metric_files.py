"""Python files of a user's metrics: imported from where they lie, as they are now, and hashed."""

from __future__ import annotations

import importlib
import itertools
import re
import sys
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from rag_bench.hashing import content_hash, file_sha256

_number = itertools.count(1)
# What this process read from a module's file; a changed file is read again.
_read: dict[str, str] = {}


class _FromSource(SourceFileLoader):
    """Reads the source each time: compiled copies go by seconds and sizes, and may be older."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def import_file(path: Path) -> tuple[ModuleType, str]:
    """Import a Python file under a name of its own; return it with its hash.

    It can import its neighbours relatively (``from .tokens import split``), as metric modules of
    HuggingFace do; those enter the hash. Nothing is written beside the file.

    Raises:
        Exception: whatever the file raises.
    """
    name = f"rag_bench_metric_{next(_number)}_{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}"
    spec = spec_from_file_location(
        name,
        path,
        loader=_FromSource(name, str(path)),
        submodule_search_locations=[str(path.parent)],
    )
    if spec is None or spec.loader is None:  # a path without a file name
        raise ImportError(f"{path} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    importlib.invalidate_caches()
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.dont_write_bytecode = writes
    neighbours = [known for key, known in sys.modules.items() if key.startswith(f"{name}.")]
    return module, hash_of_files([path, *map(_file_of, neighbours)])


def import_dotted(name: str) -> tuple[ModuleType, str]:
    """Import an installed module by its dotted name; return it with its file's hash.

    Raises:
        Exception: whatever the module raises.
    """
    module = importlib.import_module(name)
    digest = hash_of_files([_file_of(module)])
    if _read.setdefault(name, digest) != digest:
        module = importlib.reload(module)
        digest = _read[name] = hash_of_files([_file_of(module)])
    return module, digest


def hash_of_files(files: Iterable[Path | None]) -> str:
    """Return the hash of files by their names and contents; of what is compiled into Python, its
    version stands for it.
    """
    parts = {
        "python" if file is None else file.name: sys.version if file is None else file_sha256(file)
        for file in files
    }
    return content_hash(parts)


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if file else None
