"""Rooms that others may furnish: declarations of this package, then those of named extensions.

``RAG_BENCH_EXTENSIONS`` names importable packages, separated by commas. A room is a folder of
modules, each of which declares something (a tier, a metric), or a folder of files (prompts). This
module knows where rooms are, not what is in them; it imports nothing heavy, as the definitions
need it to load.
"""

from __future__ import annotations

import os
import pkgutil
import traceback
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from rag_bench.errors import ConfigurationError
from rag_bench.settings import load_environment

VARIABLE = "RAG_BENCH_EXTENSIONS"

#: Rooms of this package, and what an extension calls its own.
ROOMS = {
    "tiers.declared": "tiers",
    "evaluation.metrics": "metrics",
    "llm.prompts": "prompts",
    "llm.quirks": "quirks",
}

_PACKAGE = "rag_bench"


def named() -> tuple[str, ...]:
    """Return the extensions that the environment names now, in its order, each once."""
    load_environment()
    parts = (part.strip() for part in os.environ.get(VARIABLE, "").split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def modules(room: str) -> list[ModuleType]:
    """Return a room's modules: the built-in ones by name, then those of each extension by name.

    A module whose name begins with an underscore declares nothing and is left out. A built-in room
    may have rooms inside; an extension's may not, as its packages may be anything.

    Raises:
        ConfigurationError: an extension that cannot be imported, or a module of it that raises.
    """
    built_in = _modules_of(f"{_PACKAGE}.{room}", inside=True)
    # By the file's own name: in which folder it lies is no part of an order that people see.
    found = sorted(built_in, key=lambda module: module.__name__.rpartition(".")[2])
    for extension in named():
        if _has_room(extension, ROOMS[room]):
            found += _guarded_modules(extension, f"{extension}.{ROOMS[room]}")
    return found


def folders(room: str) -> list[Path]:
    """Return a room's folders of files: the built-in one, then that of each extension with one.

    Raises:
        ConfigurationError: an extension that cannot be imported.
    """
    found = [Path(__file__).parent.joinpath(*room.split("."))]
    for extension in named():
        package = _package(extension)
        found += [
            folder for place in package.__path__ if (folder := Path(place) / ROOMS[room]).is_dir()
        ]
    return found


def _modules_of(package: str, inside: bool = False) -> Iterator[ModuleType]:
    found = {one.name: one for one in pkgutil.iter_modules(import_module(package).__path__)}
    for name in sorted(found):
        if name.startswith("_"):
            continue
        if inside and found[name].ispkg:
            yield from _modules_of(f"{package}.{name}", inside)
        else:
            yield import_module(f"{package}.{name}")


def _guarded_modules(extension: str, package: str) -> list[ModuleType]:
    try:
        return list(_modules_of(package))
    # An import may end in anything, sys.exit included.
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"{VARIABLE}: the extension {extension!r} cannot be loaded: {_words(error)} Mend it, "
            f"or take {extension!r} out of {VARIABLE}."
        ) from error


def _package(extension: str) -> ModuleType:
    try:
        package = import_module(extension)
    except (Exception, SystemExit) as error:
        advice = (
            "Install it into this environment, or put the folder it is in on PYTHONPATH"
            if isinstance(error, ModuleNotFoundError) and _is_part(error.name, extension)
            else "Mend it"
        )
        raise ConfigurationError(
            f"{VARIABLE}: the extension {extension!r} cannot be imported: {_words(error)} "
            f"{advice}, or take {extension!r} out of {VARIABLE}."
        ) from error
    if not hasattr(package, "__path__"):
        raise ConfigurationError(
            f"{VARIABLE}: {extension!r} is a single module, not a package: it must be a folder "
            f"that holds {', '.join(sorted(ROOMS.values()))}, or some of these."
        )
    return package


def _has_room(extension: str, room: str) -> bool:
    _package(extension)
    return find_spec(f"{extension}.{room}") is not None


def _is_part(missing: str | None, name: str) -> bool:
    """Whether ``missing`` is ``name`` or a package that it is in."""
    return missing is not None and f"{name}.".startswith(f"{missing}.")


def _words(error: BaseException) -> str:
    """Return what was raised, and the last line of code outside of the import machinery."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error).rstrip('.')}{place}."
