"""Rubrics of the benchmark judge: each is declared in the header of its prompt's file.

``prompts/rubric_<name>.md`` says what its prompt reads (``fields``), and in further lines, whose
values are JSON, what follows from it: the metric, where it is asked and shown, and what simulated
judges take answers for. Those lines are no part of what a judge is sent, so they are no part of the
prompt's hash either: `hashed_text`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from rag_bench import extensions
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.metric_spec import MetricSpec, Need, Shown, Target
from rag_bench.evaluation.types import Scale

PREFIX = "rubric_"
#: The scale of every rubric, as its prompt states it.
SCALE: Scale = (1.0, 5.0)
#: What an answer can turn out to be; a rubric says what each is worth.
QUALITIES = ("correct", "partial", "wrong", "hallucinated", "refused")

#: The lines of a header that are part of the prompt, and those that declare.
PROMPT_KEYS = frozenset({"fields", "may_be_empty", "about"})
DECLARING_KEYS = frozenset(
    {"order", "tiers", "optional_in", "asked_of", "asks", "worth", "shown", "target"}
)

_IN_WORDS = {"reference_answer": "reference"}
_HEADER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


class HeaderError(RagBenchError):
    """The header of a prompt's file cannot be read."""


@dataclass(frozen=True)
class Rubric:
    """One question that a benchmark judge scores an answer by, from 1 to 5.

    Attributes:
        name: That of the reply's schema; the metric is ``rubric_<name>``.
        prompt: The file's name without ``.md``.
        inputs: Values that the prompt reads: ``question``, ``answer``, ``context``,
            ``reference_answer``.
        tiers: In which it is asked.
        optional_in: In which it is asked if the run wants all rubrics (``tier3_all_rubrics``).
        asked_of: In which it is asked besides, by kind of dataset: of users' questions, which have
            no reference answer, others are asked than of gold ones.
        order: Rubrics are asked in this order.
        worth: What an answer of each of `QUALITIES` deserves, for simulated judges.
        metric: What its scores are published as.
    """

    name: str
    prompt: str
    inputs: tuple[str, ...]
    tiers: tuple[str, ...]
    optional_in: tuple[str, ...]
    asked_of: Mapping[str, tuple[str, ...]]
    order: int
    worth: Mapping[str, int]
    metric: MetricSpec

    @property
    def needs_reference(self) -> bool:
        """Whether only questions with a reference answer can be scored."""
        return "reference_answer" in self.inputs

    def is_asked(self, tier: str, kind: str, *, every: bool) -> bool:
        """Tell whether judges are asked it in a tier, on a dataset of a kind; with ``every``, also
        where it is optional.
        """
        return (
            tier in self.tiers
            or (every and tier in self.optional_in)
            or tier in self.asked_of.get(kind, ())
        )


@cache
def prompt_files() -> dict[str, Path]:
    """Return the prompts' files by name, those of extensions among them.

    Raises:
        HeaderError: two files of one name.
    """
    found: dict[str, Path] = {}
    for folder in extensions.folders("llm.prompts"):
        for path in sorted(folder.glob("*.md")):
            if path.stem in found:
                raise HeaderError(
                    f"There are two prompts of the name {path.stem!r}: {found[path.stem]}, {path}."
                )
            found[path.stem] = path
    return found


def split_header(name: str, source: str) -> tuple[dict[str, str], str]:
    """Return a prompt file's header, ``{key: text}``, and what follows it.

    Raises:
        HeaderError: there is none, or a line of it is not known.
    """
    match = _HEADER.match(source)
    if not match:
        raise HeaderError(f"prompt {name!r} has no front matter")
    known = PROMPT_KEYS | (DECLARING_KEYS if name.startswith(PREFIX) else frozenset())
    header: dict[str, str] = {}
    for line in match[1].splitlines():
        key, colon, value = line.partition(":")
        if not colon or key.strip() not in known:
            raise HeaderError(f"prompt {name!r}: front matter line {line!r} is not understood")
        header[key.strip()] = value.strip()
    return header, source[match.end() :]


def hashed_text(source: str) -> str:
    """Return a prompt file's text without the lines that declare: what its hash is made of."""
    match = _HEADER.match(source)
    if not match:
        return source
    lines = match[1].split("\n")
    kept = [line for line in lines if line.partition(":")[0].strip() not in DECLARING_KEYS]
    return "\n".join(["---", *kept, "---\n"]) + source[match.end() :]


def parse_rubric(prompt: str, source: str) -> Rubric:
    """Read a rubric's declaration from its prompt's file.

    Raises:
        HeaderError: a line is missing, or holds something else than it should.
    """
    header, _ = split_header(prompt, source.replace("\r\n", "\n"))
    name = prompt.removeprefix(PREFIX)
    given = {key: _json(prompt, key, header[key]) for key in DECLARING_KEYS & header.keys()}
    if missing := {"order", "tiers", "asks", "worth"} - given.keys():
        raise HeaderError(f"prompt {prompt!r} does not declare {', '.join(sorted(missing))}")
    inputs = tuple(part.strip() for part in header.get("fields", "").split(","))
    worth = given["worth"]
    if set(worth) != set(QUALITIES) or not all(w in range(1, 6) for w in worth.values()):
        raise HeaderError(
            f"prompt {prompt!r}: worth gives a whole score from 1 to 5 to each of "
            f"{', '.join(QUALITIES)}"
        )
    needs = {Need.in_scope} | ({Need.reference} if "reference_answer" in inputs else set())
    tiers, optional = tuple(given["tiers"]), tuple(given.get("optional_in", ()))
    asked_of = {kind: tuple(where) for kind, where in given.get("asked_of", {}).items()}
    try:
        metric = MetricSpec(
            prompt,
            tuple(sorted({*tiers, *optional, *chain.from_iterable(asked_of.values())})),
            "mean",
            SCALE,
            True,
            f"{', '.join(_IN_WORDS.get(i, i) for i in inputs)}: {given['asks']}",
            f"`{prompt}.md`",
            frozenset(needs),
            tuple(Shown(**column) for column in given.get("shown", ())),
            tuple(Target(**target) for target in given.get("target", ())),
        )
    except (TypeError, ValueError) as error:
        raise HeaderError(f"prompt {prompt!r}: {error}") from error
    return Rubric(name, prompt, inputs, tiers, optional, asked_of, given["order"], worth, metric)


def _json(prompt: str, key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise HeaderError(f"prompt {prompt!r}: {key} is no JSON: {text}") from error


def _read() -> dict[str, Rubric]:
    files = prompt_files().items()
    found = [
        parse_rubric(name, path.read_text(encoding="utf-8"))
        for name, path in files
        if name.startswith(PREFIX)
    ]
    return {rubric.name: rubric for rubric in sorted(found, key=lambda r: (r.order, r.name))}


#: By name, in the order in which they are asked.
RUBRICS: dict[str, Rubric] = _read()


def rubric_named(name: str) -> Rubric:
    """Return the rubric; an unknown name is a programming error (`KeyError` with the names)."""
    if name not in RUBRICS:
        raise KeyError(f"no rubric {name!r}; known: {', '.join(RUBRICS)}")
    return RUBRICS[name]


def rubrics_of(tier: str, *, every: bool = False, kind: str = "") -> tuple[str, ...]:
    """Return the rubrics that a tier's judges are asked; with ``every`` the optional ones too.

    ``kind``: of the dataset. Where it has rubrics of its own, nobody wrote reference answers, and
    those that need one are left out.
    """
    own = any(kind in rubric.asked_of for rubric in RUBRICS.values())
    asked = [
        rubric
        for rubric in RUBRICS.values()
        if rubric.is_asked(tier, kind, every=every) and not (own and rubric.needs_reference)
    ]
    # Those that are always asked first.
    return tuple(
        r.name for r in sorted(asked, key=lambda r: not r.is_asked(tier, kind, every=False))
    )
