"""The metrics that the settings name, loaded: Python functions and HuggingFace metric modules.

They are the user's own code, named in the environment; no run config can name one.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.custom import FIELDS, SETTING, CustomMetric, failure_words, parse_metrics
from rag_bench.evaluation.types import Scale
from rag_bench.settings import Settings
from rag_bench.tiers.users_metrics.metric_files import import_dotted, import_file

GROUP = "rag_bench.metrics"


def load_metrics(settings: Settings, names: Collection[str] | None = None) -> list[CustomMetric]:
    """Load every metric that the settings name, in their order; with ``names`` only these.

    Raises:
        ConfigurationError: a name or a target that is not valid, or one that cannot be loaded.
    """
    named = parse_metrics(settings.custom_metrics)
    files: dict[Path, tuple[ModuleType, str]] = {}
    return [
        _load(name, target, settings, files)
        for name, target in named.items()
        if names is None or name in names
    ]


def _load(
    name: str, target: str, settings: Settings, files: dict[Path, tuple[ModuleType, str]]
) -> CustomMetric:
    try:
        file, separator, attribute = target.rpartition(":")
        if separator and (_is_path(file) or file.endswith(".py")):
            path = _existing(file)
            if path not in files:  # functions of one file share what it holds
                files[path] = import_file(path)
            module, digest = files[path]
            return _function(name, target, _attribute(module, attribute), digest)
        if separator:
            module, digest = import_dotted(file)
            return _function(name, target, _attribute(module, attribute), digest)
        place, _, key = target.partition("#")
        if _is_path(place) or place.endswith(".py") or Path(place).expanduser().is_dir():
            from rag_bench.tiers.users_metrics.metric_modules import load_module

            return load_module(name, target, module_file(_existing(place)), key or None, settings)
        return _installed(name, target)
    except ConfigurationError:
        raise
    # An import may end in anything, sys.exit included.
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"{SETTING}: the metric {name!r} cannot be loaded from {target}: {failure_words(error)}"
        ) from error


def module_file(path: Path) -> Path:
    """Return the file of a metric module: itself, or ``<folder>/<name of the folder>.py``, or the
    folder's only Python file.
    """
    if path.is_file():
        return path
    usual = path / f"{path.resolve().name}.py"
    if usual.is_file():
        return usual
    files = sorted(path.glob("*.py"))
    if len(files) != 1:
        raise ConfigurationError(
            f"{SETTING}: the folder {path} holds neither {usual.name} nor a single Python file; "
            "name the file itself."
        )
    return files[0]


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.startswith((".", "~"))


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise ConfigurationError(
            f"{SETTING}: there is no {path.absolute()}. Metric modules are read from this machine "
            "only, never from a hub; a relative path starts at the current folder."
        )
    return path.absolute()


def _attribute(module: Any, name: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _installed(name: str, target: str) -> CustomMetric:
    """Load a metric that an installed package offers in the group ``rag_bench.metrics``."""
    points = entry_points(group=GROUP)
    found = [point for point in points if point.name == target]
    if len(found) != 1:
        what = "no" if not found else "more than one"
        known = ", ".join(sorted(point.name for point in points)) or "none"
        raise ConfigurationError(
            f"{SETTING}: {target!r}, the target of {name!r}, is no package.module:function, no "
            f"path, and {what} installed metric of that name is in the group {GROUP} (there: "
            f"{known})."
        )
    module, digest = import_dotted(found[0].module)
    return _function(name, target, _attribute(module, found[0].attr), digest)


def _function(name: str, target: str, function: Any, digest: str) -> CustomMetric:
    """Return a Python function as a metric; it is called with the fields that it declares."""
    if not callable(function):
        raise ConfigurationError(f"{SETTING}: {target}, the target of {name!r}, is not callable.")
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError as error:
        raise ConfigurationError(
            f"{SETTING}: {target} does not say which parameters it takes; wrap it in a function "
            f"that declares some of: {', '.join(FIELDS)}."
        ) from error
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    by_name = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    wanted = set(FIELDS) if takes_all else {p.name for p in by_name} & set(FIELDS)
    required = {p.name for p in by_name if p.default is p.empty}
    required |= {p.name for p in parameters if p.kind is p.POSITIONAL_ONLY}
    if strangers := sorted(required - wanted):
        raise ConfigurationError(
            f"{SETTING}: {target} asks for {', '.join(strangers)}; a metric can be given: "
            f"{', '.join(FIELDS)}."
        )
    if not wanted:
        raise ConfigurationError(
            f"{SETTING}: {target} declares none of {', '.join(FIELDS)}, so it would be the same "
            "for every answer."
        )
    # With a default, None is what the metric is prepared for.
    needs_reference = "reference_answer" in required
    return CustomMetric(
        name,
        target,
        digest,
        lambda fields: function(**{key: fields[key] for key in _in_order(wanted)}),
        needs_reference,
        _scale(target, function),
    )


def _in_order(wanted: Collection[str]) -> list[str]:
    return [field for field in FIELDS if field in wanted]


def _scale(target: str, function: Any) -> Scale | None:
    """Return the scale that a function declares as its attribute ``scale``, if it does."""
    declared = getattr(function, "scale", None)
    if declared is None:
        return None
    try:
        low, high = (float(end) for end in declared)
    except (TypeError, ValueError):
        low = high = 0.0
    if not low < high:
        raise ConfigurationError(
            f"{SETTING}: the scale of {target} must be its least and greatest value, as (0, 1), "
            f"not {declared!r}."
        )
    return low, high
