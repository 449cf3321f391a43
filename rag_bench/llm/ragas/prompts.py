"""The prompts of RAGAS' metrics in Russian and English: files, not translations made on the fly.

``prompts/<language>/<name>.json`` holds an instruction and its examples, ``frame.json`` the words
around them. ragas' own frame is English and repeats the reply's JSON schema, which our client
sends in the way that each provider understands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rag_bench.evaluation.text.text_scripts import russian_or_english
from rag_bench.hashing import content_hash
from rag_bench.llm.prompt_texts import note

Language = Literal["ru", "en"]
LANGUAGES: tuple[Language, ...] = ("ru", "en")
NAMES = (
    "statements",
    "faithfulness",
    "answer_relevancy",
    "context_precision",
    "context_recall",
    "answer_correctness",
)
FRAME = "frame"
FOLDER = Path(__file__).with_name("prompts")


@dataclass(frozen=True)
class PromptFile:
    """One prompt: ``examples`` are pairs of what is given and what is to be replied."""

    instruction: str
    examples: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...]


@dataclass(frozen=True)
class Instrument:
    """What ragas measures with in a run: part of every input hash."""

    version: str
    language: Language

    @property
    def prompt_hash(self) -> str:
        """The address of the language's prompt files."""
        return prompt_hash(self.language)

    def as_json(self) -> dict[str, str]:
        """Return it as it stands in an evaluation's inputs."""
        return {
            "ragas_version": self.version,
            "ragas_language": self.language,
            "ragas_prompt_hash": self.prompt_hash,
        }


@cache
def load(language: Language, name: str) -> PromptFile:
    """Read a prompt; an unknown name is a programming error (`FileNotFoundError`)."""
    content = _read(language, name)
    pairs = tuple((example["input"], example["output"]) for example in content["examples"])
    return PromptFile(content["instruction"], pairs)


@cache
def frame(language: Language) -> Mapping[str, str]:
    """Return the words around an instruction: format, example, input, output, task."""
    return _read(language, FRAME)


@cache
def head(language: Language, name: str) -> str:
    """Return what all prompts of a name begin with: instruction, examples, the task."""
    words, prompt = frame(language), load(language, name)
    parts = [prompt.instruction, words["format"]]
    for number, (asked, reply) in enumerate(prompt.examples, start=1):
        parts.append(
            f"{words['example']} {number}\n{words['input']}: {_pretty(asked)}\n"
            f"{words['output']}: {_pretty(reply)}"
        )
    return "\n\n".join([*parts, words["task"]])


def render(language: Language, name: str, given: str) -> str:
    """Return a whole prompt; ``given`` is the JSON of what is asked about, and comes last.

    Texts stand inside JSON strings, so none of them can end its place and speak as the prompt.
    """
    words = frame(language)
    return f"{head(language, name)}\n\n{words['input']}: {given}\n{words['output']}:"


def ragas_version() -> str:
    """Return the version of ragas that is installed, without importing it.

    Raises:
        PackageNotFoundError: the extra ``ragas`` is not installed.
    """
    return version("ragas")


@cache
def prompt_hash(language: Language | None = None) -> str:
    """Return the content hash of one language's prompt files, by default of all."""
    languages = LANGUAGES if language is None else (language,)
    texts = {lang: {n: _read(lang, n) for n in (*NAMES, FRAME)} for lang in languages}
    named = {
        f"ragas/{lang}/{n}": _pretty(t) for lang, all_of in texts.items() for n, t in all_of.items()
    }
    return note(content_hash(texts), named)


def language_of(setting: str, questions: Iterable[str]) -> Language:
    """Return the language of a run's prompts.

    ``setting`` is ``ru``, ``en``, or ``auto``: then Russian if at least half of the Cyrillic and
    Latin letters of all questions are Cyrillic; questions without any letter count as Russian.
    """
    if setting == "ru":
        return "ru"
    if setting == "en":
        return "en"
    return russian_or_english("".join(questions))


def _read(language: str, name: str) -> Any:
    return json.loads((FOLDER / language / f"{name}.json").read_text(encoding="utf-8"))


def _pretty(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
