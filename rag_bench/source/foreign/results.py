"""Results of other tools as questions, answers and verdicts: a reader per format, told by content.

A format is a module with `FORMAT`, declared once in `formats`. What they share is a `Verdict` on
an answer of one model to one question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError

#: Of a scale; a yes is its best, a no its worst.
BEST, WORST = 1.0, 0.0


@dataclass(frozen=True)
class Verdict:
    """What a tool's grader said of one answer.

    Attributes:
        where: file, and place in it, for messages.
        case: the tool's own id of the test; "": it has none.
        model: whose answer it is.
        grader: who said it: a model's key, or the kind of check.
        metric: the tool's name of what was graded.
        value: 0 to 1, as a share of the scale; None: the tool gave a verdict that is no grade.
        note: its score and reason, in its words.
        reference: the expected answer, if the file has one.
    """

    where: str
    case: str
    question: str
    answer: str
    model: str
    grader: str
    metric: str
    value: float | None
    note: str = ""
    reference: str | None = None


@dataclass(frozen=True)
class Format:
    """A tool's format of results.

    Attributes:
        name: as users know it.
        is_of: whether the content is of it; gets the parsed JSON, or the bytes where it is none.
        read: returns the verdicts; gets what errors call the file, and the same.
    """

    name: str
    is_of: Callable[[Any], bool]
    read: Callable[[str, Any], list[Verdict]]


def formats() -> tuple[Format, ...]:
    """Return all formats that are read."""
    from rag_bench.source.foreign import inspect_logs, promptfoo

    return (promptfoo.FORMAT, inspect_logs.FORMAT)


def read_results(path: Path) -> tuple[Format, list[Verdict]]:
    """Read a file of results; its content tells the format.

    Raises:
        RagBenchError: it cannot be read, is of no known format, or not as the format says, with
            the place and the field.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RagBenchError(f"{path} cannot be read: {error.strerror or error}.") from None
    parsed = parse(str(path), content)
    for one in formats():
        if one.is_of(parsed):
            verdicts = one.read(str(path), parsed)
            if not verdicts:
                raise RagBenchError(f"{path} is of {one.name} and holds no graded answer.")
            return one, verdicts
    known = ", ".join(one.name for one in formats())
    raise RagBenchError(f"{path} is of no format of results that is read: {known}.")


def parse(where: str, content: bytes) -> Any:
    """Return JSON, the objects of JSONL as a list, or the bytes of a ZIP file.

    Raises:
        RagBenchError: it is neither.
    """
    import json

    if content.startswith(b"PK\x03\x04"):
        return content
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RagBenchError(f"{where} is not UTF-8 (byte {error.start}).") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place, said = error.lineno, f"not JSON: {error.msg} (column {error.colno})."
    except (ValueError, RecursionError):
        place, said = 1, "JSON that cannot be read."
    rows: list[Any] = []
    # Not by `splitlines`: a text may hold line separators of Unicode.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if rows:  # lines; else it is one document, of which the first fault is told
                place, said = number, f"not JSON: {error.msg} (column {error.colno})."
            raise RagBenchError(f"{where}:{place}: {said}") from None
        except (ValueError, RecursionError):
            raise RagBenchError(f"{where}:{number}: JSON that cannot be read.") from None
    return rows


def grade(score: Any) -> float | None:
    """Return a score of 0 to 1, or a yes or no, as a share of a scale; None: it is neither."""
    if isinstance(score, bool):
        return BEST if score else WORST
    if not isinstance(score, int | float) or not math.isfinite(score) or not 0 <= score <= 1:
        return None
    return float(score)


def text_at(where: str, value: Any, *path: str) -> str:
    """Return a text that must be there.

    Raises:
        RagBenchError: it is not, with the field.
    """
    found = value
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, str) or not found.strip():
        raise RagBenchError(f"{where}: {'.'.join(path)} must be a text that is not empty.")
    return found


def question_of(variables: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the question among a test's variables: by its usual names, in capitals or not, or the
    only text.
    """
    named = {str(name).casefold(): value for name, value in variables.items()}
    for name in names:
        if isinstance(named.get(name), str) and named[name].strip():
            return str(named[name])
    texts = [one for one in variables.values() if isinstance(one, str) and one.strip()]
    return texts[0] if len(texts) == 1 else None
