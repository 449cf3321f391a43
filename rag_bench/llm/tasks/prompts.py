"""Prompt templates: loaded from ``prompts/*.md``, rendered with every value between delimiters.

Two faults are made impossible here. A prompt cannot leave with a placeholder in it or without
one of its values: declared fields, placeholders and given values must be the same set. And a
retrieved text or an answer cannot close its own delimiter and speak as the prompt: whatever looks
like one of our delimiters inside a value is neutralised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache

from rag_bench.errors import CaseError, ErrorCode, RagBenchError
from rag_bench.evaluation.rubrics import HeaderError, hashed_text, prompt_files, split_header
from rag_bench.hashing import content_hash
from rag_bench.llm.prompt_texts import note

#: Delimiters that carry data. ``fragment`` is what ``context`` consists of.
TAGS = (
    *("question", "context", "fragment", "answer", "reference_answer", "chunk", "page"),
    *("answer_a", "answer_b"),
)

Message = dict[str, str]

_SECTION = re.compile(r"^# (system|user)[ \t]*$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
# Any kind of "<" that a reader or a model takes for one, then an optional slash and our tag name.
_DELIMITER = re.compile(
    r"[<\uFF1C\uFE64](?=[\s\u200b-\u200f\u2060\ufeff/\\\u2215\u2044]*(?:"
    + "|".join(TAGS)
    + r")\b)",
    re.IGNORECASE,
)
# Control characters (PostgreSQL's JSON cannot hold NUL) and lone surrogates (UTF-8 cannot).
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class PromptError(RagBenchError):
    """A template that cannot be read, or values that are not those it declares."""


@dataclass(frozen=True)
class Template:
    """One file of ``prompts/``: its parts and the fields that must be given, each exactly once.

    ``hashed``: the file's text without what a rubric declares there, which no model reads.
    """

    name: str
    system: str
    user: str
    fields: frozenset[str]
    may_be_empty: frozenset[str]
    hashed: str


def neutralise(text: str) -> str:
    """Return ``text`` unable to open or close one of our delimiters.

    The ``<`` of anything that looks like a delimiter becomes ``‹`` (U+2039), control characters
    other than tab and line ends become spaces. Everything else is kept as it was; applying it
    twice changes nothing more.
    """
    return _DELIMITER.sub("‹", _UNPRINTABLE.sub(" ", text))


def parse_template(name: str, source: str) -> Template:
    """Read a template's text: front matter, then ``# system`` and optionally ``# user``.

    Raises:
        PromptError: a part is missing, or placeholders and declared fields differ.
    """
    source = source.replace("\r\n", "\n")
    try:
        header, body = split_header(name, source)
    except HeaderError as error:
        raise PromptError(str(error)) from error
    pieces = _SECTION.split(body)
    parts: dict[str, str] = {}
    for title, text in zip(pieces[1::2], pieces[2::2], strict=True):
        if title in parts:
            raise PromptError(f"prompt {name!r} has two parts '# {title}'")
        parts[title] = text.strip()
    if pieces[0].strip() or not parts.get("system"):
        raise PromptError(f"prompt {name!r} must consist of a '# system' part and a '# user' part")
    fields = _names(header.get("fields", ""))
    used = _PLACEHOLDER.findall(parts["system"] + "\n" + parts.get("user", ""))
    if _PLACEHOLDER.search(parts["system"]):
        raise PromptError(f"prompt {name!r} puts data into its system part")
    if sorted(used) != sorted(fields):
        raise PromptError(
            f"prompt {name!r} declares {sorted(fields)} but has placeholders for {sorted(used)}"
        )
    unknown = fields - set(TAGS)
    if unknown:
        raise PromptError(f"prompt {name!r}: no delimiter is defined for {sorted(unknown)}")
    return Template(
        name=name,
        system=parts["system"],
        user=parts.get("user", ""),
        fields=frozenset(fields),
        may_be_empty=frozenset(_names(header.get("may_be_empty", ""))),
        hashed=hashed_text(source),
    )


#: Templates in place of the files', in the block of `prompts_as`.
_AS: ContextVar[Mapping[str, Template]] = ContextVar("rag_bench_prompts_as", default={})  # noqa: B039


@contextmanager
def prompts_as(texts: Mapping[str, str]) -> Iterator[None]:
    """Ask by other texts than those of the files, as an earlier run did.

    ``texts``: by the prompt's name, as `prompt_hash` hashed them; prompts not named stay as they
    are. Holds for the block and for the tasks that are started in it.

    Raises:
        PromptError: a text is no prompt.
    """
    read = {name: parse_template(name, text) for name, text in texts.items()}
    token = _AS.set({**_AS.get(), **read})
    try:
        yield
    finally:
        _AS.reset(token)


def load(name: str) -> Template:
    """Return the template of ``prompts/<name>.md``, of ours or an extension's, read once."""
    return _AS.get().get(name) or _load(name)


@cache
def _load(name: str) -> Template:
    path = prompt_files().get(name)
    if path is None:
        raise PromptError(f"there is no prompt {name!r}; known: {', '.join(names())}")
    return parse_template(name, path.read_text(encoding="utf-8"))


def names() -> list[str]:
    """Return the names of all templates."""
    return sorted(prompt_files())


def render(
    name: str, /, *, parts: Sequence[str] = (), **values: str | Sequence[str]
) -> list[Message]:
    """Fill a template and return chat messages: one ``system``, one ``user``.

    Args:
        name: the template.
        parts: templates without fields whose system text is added after this one's.
        values: exactly the template's fields. A string goes between ``<field>`` and ``</field>``;
            ``context`` takes a sequence of texts, numbered from 1 as ``<fragment id="1">``.

    Raises:
        PromptError: a field is missing, unknown, or of the wrong type.
        CaseError: INVALID_INPUT, a value is blank though the template needs it.
    """
    template = load(name)
    missing, unused = template.fields - set(values), set(values) - template.fields
    if missing or unused:
        raise PromptError(
            f"prompt {name!r} reads {sorted(template.fields)}: "
            f"missing {sorted(missing)}, not used {sorted(unused)}"
        )
    blocks = {field: _block(template, field, value) for field, value in values.items()}
    # One pass: a placeholder inside a value is text like any other.
    user = _PLACEHOLDER.sub(lambda match: blocks[match.group(1)], template.user)
    system = "\n\n".join([template.system, *(load(part).system for part in parts)])
    messages = [{"role": "system", "content": system}]
    return [*messages, {"role": "user", "content": user}] if user else messages


def prompt_hash(names: Iterable[str]) -> str:
    """Return the content hash of the named templates, whatever their order.

    A rubric's declaration is not in it: where a score is shown changes no score.
    """
    texts = {name: load(name).hashed for name in names}
    return note(_hash_of(tuple(texts.items())), texts)


@lru_cache(maxsize=64)
def _hash_of(texts: tuple[tuple[str, str], ...]) -> str:
    return content_hash(dict(texts))


def _block(template: Template, field: str, value: str | Sequence[str]) -> str:
    texts: list[object] = [value]
    if field == "context" and isinstance(value, Sequence) and not isinstance(value, str):
        texts = list(value)
    clean = [neutralise(text).strip() for text in texts if isinstance(text, str)]
    if len(clean) < len(texts):
        raise PromptError(f"prompt {template.name!r}: {field} must be text, not {type(value)}")
    if field not in template.may_be_empty and not any(clean):
        raise CaseError(ErrorCode.INVALID_INPUT, f"{field} is empty")
    if field == "context":
        clean = [
            f'<fragment id="{number}">\n{text}\n</fragment>'
            for number, text in enumerate(clean, start=1)
            if text
        ]
    return "\n".join([f"<{field}>", *filter(None, clean), f"</{field}>"])


def _names(value: str) -> set[str]:
    return {part.strip() for part in value.split(",") if part.strip()}
