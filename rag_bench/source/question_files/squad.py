"""SQuAD-format JSON as a knowledge base with questions: a paragraph is a chunk.

The format: ``data[].title``, ``data[].paragraphs[].context``,
``data[].paragraphs[].qas[].{id, question, answers[].text, is_impossible}`` (SQuAD 1.1 and 2.0).

A question with ``is_impossible`` is one that the knowledge base does not answer: out of scope, as
its paragraph only looks like an answer. Its ``plausible_answers`` are wrong ones and are not read.
Files without that field (Hugging Face's rows turned into SQuAD) say the same by an empty
``answers``, unless none of the file's questions has an answer: then the answers are held back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag_bench.errors import DumpError
from rag_bench.hashing import chunk_hash, content_hash, corpus_hash
from rag_bench.source.dumps.rows import ChunkRow, snapshot_chunks, twin_notes
from rag_bench.source.limits import DEFAULT_LIMITS, MIB, Limits, quoted
from rag_bench.store.datasets import BESIDE_CHUNK, BESIDE_PAGE, OUT_OF_SCOPE, Item
from rag_bench.store.snapshots import NewSnapshot

MAX_FILE_BYTES = 512 * MIB
_NOT_SLUG = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class SquadItem:
    """A question, its reference answer (None: not given) and the one paragraph it stands under.

    ``details``: file, title, qas_id, answers (all accepted), is_impossible. That paragraph answers
    the question, unless it is out of scope.
    """

    item_id: str
    question: str
    reference_answer: str | None
    chunk_hash: str
    page_url: str
    details: dict[str, Any]

    def to_item(self) -> Item:
        """Return the dataset's item; out of scope, no chunk and no page is relevant to it."""
        if not self.details["is_impossible"]:
            pages = (self.page_url,)
            return Item(
                self.item_id,
                self.question,
                self.reference_answer,
                (self.chunk_hash,),
                pages,
                self.details,
            )
        beside = {BESIDE_CHUNK: self.chunk_hash, BESIDE_PAGE: self.page_url}
        details = {**self.details, "type": OUT_OF_SCOPE, **beside}
        return Item(self.item_id, self.question, details=details)


@dataclass(frozen=True)
class ParsedSquad:
    """SQuAD files that were read whole and found valid."""

    name: str
    sha256: str  # over the files' names and hashes, whatever order they were given in
    size_bytes: int
    chunks: list[ChunkRow]
    items: list[SquadItem]
    warnings: list[str] = field(default_factory=list)

    @property
    def corpus_hash(self) -> str:
        """The address of the chunks together."""
        return corpus_hash(chunk_hash(row.page_url, row.text) for row in self.chunks)

    def to_snapshot(self, default_dataset_id: str | None = None) -> NewSnapshot:
        """Return what ``save_snapshot`` stores; the items are a dataset's, stored before.

        Args:
            default_dataset_id: that dataset, which then comes with the snapshot.

        """
        return NewSnapshot(
            sha256=self.sha256,
            name=self.name,
            kind="squad",
            size_bytes=self.size_bytes,
            chunks=snapshot_chunks(self.chunks),
            questions=[],
            report={"format": "squad", "n_items": len(self.items), "warnings": self.warnings},
            default_dataset_id=default_dataset_id,
        )


def read_squad(paths: Sequence[Path], limits: Limits = DEFAULT_LIMITS) -> ParsedSquad:
    """Read SQuAD files into one knowledge base.

    A page is an article of a file, ``squad://<file stem>/<title>``, so that translations of one
    article stay apart. Items keep their own ids; with several files, ids are prefixed with the
    file's stem, as translations share them.

    Raises:
        DumpError: no file, a file that is missing or not SQuAD, or one given twice.

    """
    if not paths:
        raise DumpError("no SQuAD file was given: `rag-bench import-squad FILE...`.")
    ordered = sorted(paths, key=lambda path: (path.stem, str(path)))
    stems = [path.stem for path in ordered]
    for stem in stems:
        if stems.count(stem) > 1:
            raise DumpError(
                f"two files are named {quoted(stem)}; pages and items are named after the file. "
                "Give each file once, under a name of its own."
            )
    files: list[list[str]] = []
    size = 0
    builder = _Builder(prefix_ids=len(ordered) > 1, limits=limits)
    for path in ordered:
        try:
            content = _read(path)
            files.append([path.stem, hashlib.sha256(content).hexdigest()])
            size += len(content)
            builder.add(path.stem, _parse(content))
        except DumpError as error:
            raise DumpError(f"{path}: {error}") from None
    if not builder.chunks:
        raise DumpError(f"{ordered[0]}: the file holds no paragraph.")
    warnings = []
    if builder.repeated:
        warnings.append(
            f"{builder.repeated:,} paragraphs repeat another of their article and count once"
        )
    impossible = sum(item.details["is_impossible"] for item in builder.items)
    if impossible:
        warnings.append(
            f"{impossible:,} questions have no answer in their paragraph (is_impossible): they are "
            "out of scope, where to refuse is right"
        )
    unknown = sum(item.reference_answer is None for item in builder.items) - impossible
    if unknown:
        warnings.append(f"{unknown:,} questions have no reference answer")
    if not builder.items:
        warnings.append("the files hold no question")
    warnings += twin_notes(list(builder.chunks.values()))
    return ParsedSquad(
        name=", ".join(path.name for path in ordered),
        sha256=content_hash(["squad", files]),
        size_bytes=size,
        chunks=list(builder.chunks.values()),
        items=builder.items,
        warnings=warnings,
    )


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise DumpError("this is a directory; give the JSON files themselves.")
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DumpError(
                f"the file has {size:,} bytes, more than the {MAX_FILE_BYTES:,} allowed."
            )
        if not path.is_file():
            raise DumpError("this is not a regular file.")
        return path.read_bytes()
    except FileNotFoundError:
        raise DumpError("there is no such file.") from None
    except OSError as error:
        raise DumpError(f"cannot be read: {error.strerror}.") from None


def _parse(content: bytes) -> Any:
    if not content.strip():
        raise DumpError("the file is empty; a SQuAD-format JSON file is expected.")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DumpError(f"the file is not UTF-8 text ({error.reason}).") from None
    except json.JSONDecodeError as error:
        raise DumpError(f"the file is not JSON, or was cut off ({error}).") from None
    except (RecursionError, ValueError) as error:
        raise DumpError(f"the file is not readable JSON ({type(error).__name__}).") from None


def _shape(where: str, wanted: str) -> DumpError:
    return DumpError(
        f"{where} should be {wanted}; this is not SQuAD format "
        "(data[].paragraphs[].context and .qas[].question)."
    )


def _list(value: Any, key: str, where: str, *, optional: bool = False) -> list[Any]:
    if not isinstance(value, dict):
        raise _shape(where or "the file", "an object")
    found = value.get(key, [] if optional else None)
    if not isinstance(found, list):
        raise _shape(f"{where}.{key}".strip("."), "a list")
    return found


class _Builder:
    def __init__(self, *, prefix_ids: bool, limits: Limits) -> None:
        self._prefix_ids = prefix_ids
        self._limits = limits
        self._ids: set[str] = set()
        self.chunks: dict[str, ChunkRow] = {}  # by hash
        self.items: list[SquadItem] = []
        self.repeated = 0

    def add(self, stem: str, document: Any) -> None:
        """Take one file's articles."""
        first = len(self.items)
        slugs: set[str] = set()
        for index, article in enumerate(_list(document, "data", "")):
            where = f"data[{index}]"
            paragraphs = _list(article, "paragraphs", where)
            title = article.get("title")
            slug = _NOT_SLUG.sub("-", title).strip("-.") if isinstance(title, str) else ""
            if not slug or slug in slugs:
                slug = f"{slug}-{index}".strip("-")
            slugs.add(slug)
            for number, paragraph in enumerate(paragraphs):
                self._paragraph(
                    paragraph,
                    f"{where}.paragraphs[{number}]",
                    f"squad://{stem}/{slug}",
                    stem,
                    title,
                )
        taken = self.items[first:]
        withheld = not any(item.reference_answer for item in taken)
        for item in taken:
            if item.details["is_impossible"] is None:
                item.details["is_impossible"] = not item.reference_answer and not withheld

    def _paragraph(self, paragraph: Any, where: str, page_url: str, stem: str, title: Any) -> None:
        qas = _list(paragraph, "qas", where, optional=True)
        context = self._text(paragraph, "context", where)
        key = chunk_hash(page_url, context)
        if key in self.chunks:
            self.repeated += 1
        else:
            if len(self.chunks) >= self._limits.chunks:
                raise DumpError(f"there are more than {self._limits.chunks:,} paragraphs.")
            self.chunks[key] = ChunkRow(None, page_url, context)
        for number, question in enumerate(qas):
            at = f"{where}.qas[{number}]"
            answers = list(self._answers(question, at))
            item_id = self._id(question, at)
            prefixed = f"{stem}:{item_id}" if self._prefix_ids else item_id
            if prefixed in self._ids:
                raise DumpError(f"{at}: the id {quoted(item_id)} comes twice.")
            self._ids.add(prefixed)
            impossible = self._flag(question, "is_impossible", at)
            self.items.append(
                SquadItem(
                    item_id=prefixed,
                    question=self._text(question, "question", at),
                    reference_answer=None if impossible or not answers else answers[0],
                    chunk_hash=key,
                    page_url=page_url,
                    details={
                        "file": stem,
                        "title": title if isinstance(title, str) else None,
                        "qas_id": item_id,
                        "answers": [] if impossible else list(dict.fromkeys(answers)),
                        "is_impossible": impossible,
                    },
                )
            )

    def _flag(self, question: dict[str, Any], key: str, where: str) -> bool | None:
        """Return a truth value (None: not given); some writers of JSON have only 0 and 1."""
        value = question.get(key)
        if value is None or value in (0, 1):
            return None if value is None else bool(value)
        raise _shape(f"{where}.{key}", "true or false")

    def _answers(self, question: Any, where: str) -> Iterator[str]:
        for number, answer in enumerate(_list(question, "answers", where, optional=True)):
            at = f"{where}.answers[{number}]"
            if not isinstance(answer, dict):
                raise _shape(at, "an object")
            yield self._text(answer, "text", at)

    def _id(self, question: dict[str, Any], where: str) -> str:
        value = question.get("id")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self._text(question, "id", where)

    def _text(self, value: dict[str, Any], key: str, where: str) -> str:
        text = value.get(key)
        if not isinstance(text, str) or not text.strip():
            raise _shape(f"{where}.{key}", "a text")
        try:
            size = len(text.encode("utf-8"))
        except UnicodeEncodeError:
            raise DumpError(f"{where}.{key} holds half a character (a lone surrogate).") from None
        if "\0" in text:
            raise DumpError(f"{where}.{key} holds a NUL character.")
        if size > self._limits.text_bytes:
            raise DumpError(f"{where}.{key} has {size:,} bytes, more than are allowed.")
        return text
