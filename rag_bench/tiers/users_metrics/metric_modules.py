"""Metric modules of HuggingFace's library ``evaluate``, from a local file and without a network.

``evaluate.load`` asks the hub even for what lies here, so it is not used: the file is imported
and its class used as it is. What the class would fetch when it is made ready is refused, unless it
is a file of this machine; the hub's client is told that it is offline as long as the metric works.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.custom import SETTING, CustomMetric, module_result
from rag_bench.hashing import content_hash
from rag_bench.settings import Settings
from rag_bench.tiers.users_metrics.metric_files import import_file

#: Where a module's inputs come from, by the names that such modules use, and by ours.
_INPUTS = {
    "predictions": "answer",
    "data": "answer",
    "answer": "answer",
    "references": "reference_answer",
    "reference_answer": "reference_answer",
    "sources": "question",
    "question": "question",
    "language": "language",
}
_OFFLINE = ("HF_HUB_OFFLINE", "HF_EVALUATE_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")


def load_module(
    name: str, target: str, file: Path, key: str | None, settings: Settings
) -> CustomMetric:
    """Load a metric module from its file.

    Args:
        name: Under which the metric is published.
        target: As the settings name it.
        file: The module.
        key: Which entry of its result is the score; None: see ``module_result``.
        settings: For the folder of the module's own data.

    Raises:
        ConfigurationError: ``evaluate`` is not installed, or this is no module of texts.
        Exception: whatever the module raises.
    """
    try:
        import evaluate
    except ImportError as error:
        raise ConfigurationError(
            "Metric modules of HuggingFace need its library: pip install 'rag-bench[metrics]'"
        ) from error
    with offline():
        module, digest = import_file(file)
        kind = _metric_class(module, target)
        instance = kind(
            keep_in_memory=True,
            cache_dir=str(settings.home / "metrics"),
            seed=0,
        )
        instance.download_and_prepare(dl_manager=_LocalFiles(target))
    inputs = _inputs(instance.features, target)
    needs_reference = any(_INPUTS[given] == "reference_answer" for given in inputs)
    return CustomMetric(
        name,
        target,
        content_hash([digest, key, evaluate.__version__]),
        lambda fields: module_result(_compute(instance, inputs, fields), key),
        needs_reference,
    )


@contextmanager
def offline() -> Iterator[None]:
    """Tell the libraries of HuggingFace not to use the network, until the block ends."""
    import datasets.config
    import evaluate.config
    import huggingface_hub.constants as hub

    places = [
        (hub, "HF_HUB_OFFLINE"),
        (evaluate.config, "HF_EVALUATE_OFFLINE"),
        (datasets.config, "HF_HUB_OFFLINE"),
    ]
    before = [(place, name, getattr(place, name)) for place, name in places if hasattr(place, name)]
    environment = {name: os.environ.get(name) for name in _OFFLINE}
    for place, name, _ in before:
        setattr(place, name, True)
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    try:
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _LocalFiles:
    """What a module gets to fetch its resources with: it only finds what is here."""

    def __init__(self, target: str) -> None:
        self._target = target

    def download(self, wanted: Any) -> Any:
        if isinstance(wanted, Mapping):
            return {name: self.download(one) for name, one in wanted.items()}
        if isinstance(wanted, list | tuple):
            return [self.download(one) for one in wanted]
        if Path(str(wanted)).exists():
            return str(wanted)
        raise ConfigurationError(
            f"{SETTING}: the metric module {self._target} wants to fetch {wanted}. Nothing is "
            "fetched for a metric: put the file on this machine and name its path in the module."
        )

    download_and_extract = download
    extract = download


def _metric_class(module: Any, target: str) -> Any:
    """Return the metric class that a module defines."""
    import evaluate

    classes = [
        found
        for found in vars(module).values()
        if inspect.isclass(found)
        and issubclass(found, evaluate.EvaluationModule)
        and found.__module__ == module.__name__
    ]
    # A base class that another of the file is made of is not meant.
    leaves = [c for c in classes if not any(c is not d and issubclass(d, c) for d in classes)]
    if len(leaves) != 1:
        names = ", ".join(found.__name__ for found in leaves) or "none"
        raise ConfigurationError(
            f"{SETTING}: {target} must define one class derived from evaluate.Metric; it defines: "
            f"{names}. A plain function is named as file.py:function."
        )
    return leaves[0]


def _inputs(features: Any, target: str) -> dict[str, Callable[[str], Any]]:
    """Return the module's inputs by name, with how a text is given to each: alone or in a list.

    A module may offer several forms; the first that takes texts is used.
    """
    options = features if isinstance(features, list) else [features]
    for option in options:
        forms = {name: _form(feature) for name, feature in option.items()}
        if set(forms) <= set(_INPUTS) and None not in forms.values():
            return {name: form for name, form in forms.items() if form is not None}
    asked = " or ".join(", ".join(f"{n} ({f})" for n, f in o.items()) for o in options)
    raise ConfigurationError(
        f"{SETTING}: {target} reads {asked}. Only texts can be given, as: {', '.join(_INPUTS)}."
    )


def _form(feature: Any) -> Callable[[str], Any] | None:
    """Return how a text is given to a feature; None if it takes no text."""
    if isinstance(feature, list):  # [Value("string")], the old way to write a list
        inner: Any = feature[0] if feature else None
    else:
        inner = getattr(feature, "feature", None)
    if inner is not None:
        return (lambda text: [text]) if _is_text(inner) else None
    return (lambda text: text) if _is_text(feature) else None


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("string", "large_string")


def _compute(
    instance: Any, inputs: Mapping[str, Callable[[str], Any]], fields: Mapping[str, Any]
) -> Any:
    """Return what the module computes of one case."""
    given = {name: [form(fields[_INPUTS[name]])] for name, form in inputs.items()}
    try:
        with offline():
            return instance.compute(**given)
    except BaseException:
        # Else the rows of the case that failed would be counted into the next one.
        instance.writer = instance.buf_writer = instance.data = None
        raise
