"""Logs of Inspect: ``.json``, or ``.eval``, a ZIP of ``header.json`` and ``samples/*.json``.

``eval.model`` answered; ``samples[]`` have ``id``, ``epoch``, ``input`` (a text or messages),
``target``, ``output`` and ``scores``, by scorer, with ``value``, ``answer``, ``explanation``; the
first version's logs have one ``score``. A value is ``C`` (correct), ``I`` (incorrect), ``P``
(partly), ``N`` (no answer), a number of 0 to 1, a yes or no, or an object of such values by name.
Long texts may stand in ``attachments``.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.source.foreign.results import BEST, WORST, Format, Verdict, grade, text_at

_VALUES = {"C": BEST, "I": WORST, "P": (BEST + WORST) / 2, "N": WORST}
_WORDS = {"yes": BEST, "true": BEST, "no": WORST, "false": WORST}
_ATTACHMENT = "attachment://"
_MOST_BYTES = 1 << 30  # unpacked


def _is_of(parsed: Any) -> bool:
    if isinstance(parsed, bytes):
        try:
            with zipfile.ZipFile(io.BytesIO(parsed)) as archive:
                return any(name.startswith("samples/") for name in archive.namelist())
        except zipfile.BadZipFile:
            return False
    return isinstance(parsed, Mapping) and isinstance(parsed.get("eval"), Mapping)


def _read(path: str, parsed: Any) -> list[Verdict]:
    header, samples = _unpacked(path, parsed) if isinstance(parsed, bytes) else (parsed, None)
    model = text_at(path, header, "eval", "model")
    if samples is None:
        given = header.get("samples")
        if not isinstance(given, list):
            raise RagBenchError(
                f"{path}: the log has no samples (it was written without them, or its run failed)."
            )
        samples = [(f"{path}, samples[{n}]", one) for n, one in enumerate(given)]
    graders = _graders(header)
    found: list[Verdict] = []
    for where, sample in samples:
        if not isinstance(sample, Mapping):
            raise RagBenchError(f"{where}: expected an object.")
        found += _of_sample(where, _whole(sample), model, graders)
    return found


def _unpacked(path: str, content: bytes) -> tuple[Any, list[tuple[str, Any]]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(one.file_size for one in archive.infolist()) > _MOST_BYTES:
                raise RagBenchError(f"{path}: more than {_MOST_BYTES >> 20} MB unpacked.")
            names = archive.namelist()
            if "header.json" not in names:
                raise RagBenchError(f"{path}: the log has no header.json: its run did not end.")
            header = _json(f"{path}, header.json", archive.read("header.json"))
            samples = [
                (f"{path}, {name}", _json(f"{path}, {name}", archive.read(name)))
                for name in sorted(names)
                if name.startswith("samples/") and name.endswith(".json")
            ]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise RagBenchError(
            f"{path}: the ZIP cannot be read ({error}). Write it as JSON: "
            "inspect log convert --to json."
        ) from None
    return header, samples


def _json(where: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RagBenchError(f"{where}: not JSON: {error}") from None


def _graders(header: Any) -> dict[str, str]:
    """Return the model that each scorer asks, as far as the log says it: its own, or the one that
    plays the grader.
    """
    found: dict[str, str] = {}
    roles = header["eval"].get("model_roles")
    role = roles.get("grader") if isinstance(roles, Mapping) else None
    grader = role.get("model") if isinstance(role, Mapping) else role
    for one in header["eval"].get("scorers") or ():
        options = one.get("options") if isinstance(one, Mapping) else None
        model = options.get("model") if isinstance(options, Mapping) else None
        if model is None and str(one.get("name")).startswith("model_graded"):
            model = grader
        if isinstance(model, str) and model:
            found[str(one.get("name"))] = model
    return found


def _whole(value: Any, attachments: Any = None) -> Any:
    """Return a sample with its attached texts where they belong."""
    if attachments is None:
        attachments = value.get("attachments")
        if not isinstance(attachments, Mapping) or not attachments:
            return value
        kept = {n: v for n, v in value.items() if n not in ("attachments", "events", "messages")}
        return _whole(kept, attachments)
    if isinstance(value, str) and value.startswith(_ATTACHMENT):
        return attachments.get(value.removeprefix(_ATTACHMENT), value)
    if isinstance(value, list):
        return [_whole(one, attachments) for one in value]
    if isinstance(value, Mapping):
        return {name: _whole(one, attachments) for name, one in value.items()}
    return value


def _of_sample(
    where: str, sample: Mapping[str, Any], model: str, graders: Mapping[str, str]
) -> Iterator[Verdict]:
    answer = _answer(sample.get("output"))
    if not answer:
        return  # an error, or a limit: there is no answer to have a verdict on
    question = _question(sample.get("input"))
    if question is None:
        raise RagBenchError(f"{where}: input must be a text, or messages with one of the user.")
    scores = sample.get("scores") or {}
    if not scores and sample.get("score") is not None:  # of the first version
        scores = {"score": sample["score"]}
    if not isinstance(scores, Mapping):
        raise RagBenchError(f"{where}: scores must be an object.")
    target = sample.get("target")
    if isinstance(target, list):
        target = next((one for one in target if isinstance(one, str)), None)
    epoch = sample.get("epoch") or 1
    for scorer, score in scores.items():
        if not isinstance(score, Mapping) or "value" not in score:
            raise RagBenchError(f"{where}: scores.{scorer} must be an object with a value.")
        explanation = score.get("explanation")
        for metric, value in _values(str(scorer), score["value"]):
            yield Verdict(
                where=where,
                case=f"{sample.get('id')}" if epoch == 1 else f"{sample.get('id')} (epoch {epoch})",
                question=question,
                answer=answer,
                model=model,
                grader=graders.get(scorer, f"inspect {scorer}"),
                metric=metric,
                value=_grade(value),
                note="; ".join(filter(None, [f"value {value}", str(explanation or "")])),
                reference=target.strip() or None if isinstance(target, str) else None,
            )


def _values(scorer: str, value: Any) -> list[tuple[str, Any]]:
    """Return the values of a score by name: one, or those of an object or a list."""
    if isinstance(value, Mapping):
        return [(f"{scorer}.{name}", one) for name, one in value.items()]
    if isinstance(value, list):
        return [(f"{scorer}.{number}", one) for number, one in enumerate(value, 1)]
    return [(scorer, value)]


def _grade(value: Any) -> float | None:
    if isinstance(value, str):
        word = value.strip().casefold()
        if value in _VALUES or word in _WORDS:
            return _VALUES.get(value, _WORDS.get(word))
        try:
            return grade(float(word))
        except ValueError:
            return None
    return grade(value)


def _question(given: Any) -> str | None:
    if isinstance(given, str):
        return given if given.strip() else None
    for message in reversed(given if isinstance(given, list) else []):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return _text(message.get("content"))
    return None


def _answer(output: Any) -> str | None:
    if not isinstance(output, Mapping):
        return None
    if isinstance(output.get("completion"), str) and output["completion"].strip():
        return str(output["completion"])
    for choice in output.get("choices") or ():
        message = choice.get("message") if isinstance(choice, Mapping) else None
        if isinstance(message, Mapping):
            return _text(message.get("content"))
    return None


def _text(content: Any) -> str | None:
    """Return a message's text: as it is, or the text parts of a list."""
    if isinstance(content, list):
        parts = [one.get("text") for one in content if isinstance(one, Mapping)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) and content.strip() else None


FORMAT = Format("Inspect", _is_of, _read)
