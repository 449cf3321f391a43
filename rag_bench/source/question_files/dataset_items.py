"""One row of a file becomes a question or a labelled pair; what it says is relevant is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.source.chunk_references import Chunk, ChunkReferences, UnresolvedError
from rag_bench.source.question_files.context_binding import ContextBinder
from rag_bench.source.question_files.dataset_fields import ANSWER, FLAGS, ID, Layout
from rag_bench.source.question_files.json_rows import Row
from rag_bench.store.datasets import BESIDE_CHUNK, BESIDE_PAGE, OUT_OF_SCOPE, Item

# Kept as they are, under our names; what an annotator noted does not make another dataset.
_DETAILS = {
    "lang": "language",
    "language": "language",
    "type": "type",
    "quality_category": "type",
    "source": "source",
    "question_source": "question_source",
    "question_answer_id": "question_answer_id",
    "user_score": "user_score",
    "is_relevant_chunk_matched": "is_relevant_chunk_matched",
    "written_by": "written_by",
    "synthesizer_name": "synthesizer_name",
    "criticised_by": "criticised_by",
}


class Known:
    """The snapshot's chunks, and what was found about the rows on the way.

    Attributes:
        named: hashes of chunks by what clients call them.
        problems: references that the snapshot does not have, a line each.
        warnings: rows that are judged by less than they say.
        contexts: how often a text was bound to a chunk (True), to its page only (None), to nothing.
    """

    def __init__(self, chunks: Iterable[Chunk], named: Mapping[str, str] | None = None) -> None:
        chunks = list(chunks)
        self.named = named or {}
        self.references = ChunkReferences(chunks)
        self.binder = ContextBinder(chunks)
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.contexts: Counter[bool | None] = Counter()

    def said(self) -> list[str]:
        """Return what became of the contexts, in words."""
        lost, by_page = self.contexts[False], self.contexts[None]
        n = self.contexts.total()
        lines = []
        if by_page:
            lines.append(
                f"{by_page} of {n} contexts stand in several chunks of one page: judged by page"
            )
        if lost:
            lines.append(
                f"{lost} of {n} contexts are in no chunk of the snapshot, or in several: nothing "
                "is relevant by them. Load the knowledge base that the questions were made on"
            )
        return lines


def is_rejected(row: Row) -> bool:
    """Whether an annotator set one of the flags to 0."""
    rejected = False
    for name in FLAGS:
        value = row.fields.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or value not in (0, 1):
            raise RagBenchError(f"{row.where}: {name} is 0 or 1, not {value!r}.")
        rejected = rejected or not value
    return rejected


def _list(
    fields: Mapping[str, Any], name: str, where: str, of: type | tuple[type, ...]
) -> list[Any]:
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, of) for one in value):
        kind = "objects" if of is dict else "texts"
        raise RagBenchError(f"{where}: {name} must be a list of {kind}.")
    return value


def _item_id(row: Row, question: str, position: int) -> str:
    for name in ID:
        value = row.fields.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            raise RagBenchError(f"{row.where}: {name} must be a text or a number, not {value!r}.")
        return str(value).strip()
    return f"item-{content_hash([question, position])[:16]}"


def pair_of(row: Row, layout: Layout, position: int) -> Item:
    """Return a labelled pair. Raises RagBenchError, located, for what is none."""
    show = row.fields["ground_truth_show"]
    if not isinstance(show, bool):
        raise RagBenchError(f"{row.where}: ground_truth_show is true or false, not {show!r}.")
    if not isinstance(row.fields.get("context", ""), str):
        raise RagBenchError(f"{row.where}: context must be a text (it may be empty).")
    question = layout.question(row)
    answer = next((name for name in ANSWER if row.fields.get(name)), "answer")
    return Item(
        item_id=_item_id(row, question, position),
        question=question,
        details={
            "answer": row.text(answer),
            "context": row.text_or_none("context") or "",
            "ground_truth_show": show,
            "rationale": row.text_or_none("rationale"),
        },
    )


def question_of(row: Row, layout: Layout, position: int, known: Known) -> Item:
    """Return a question; what the snapshot does not have is noted in ``known.problems``."""
    question = layout.question(row)
    item_id = _item_id(row, question, position)
    answers = layout.references(row)
    details = {ours: row.fields[name] for name, ours in _DETAILS.items() if _given(row, name)}
    try:
        hashes, urls = _relevant(row, layout, known)
    except UnresolvedError as error:
        known.problems.append(f"{row.where} ({item_id}): {error}")
        hashes, urls = (), ()
    if layout.says_impossible(row):  # what it stands under only looks like an answer
        details["type"] = OUT_OF_SCOPE
        details |= {BESIDE_CHUNK: hashes[0]} if hashes else {}
        details |= {BESIDE_PAGE: urls[0]} if urls else {}
        answers, hashes, urls = (), (), ()
    if len(answers) > 1:
        details["answers"] = list(answers)
    return Item(
        item_id=item_id,
        question=question,
        reference_answer=answers[0] if answers else None,
        chunk_hashes=hashes,
        page_urls=urls,
        details=details,
    )


def _given(row: Row, name: str) -> bool:
    value = row.fields.get(name)
    return isinstance(value, str | int | float) and value != ""


def _relevant(row: Row, layout: Layout, known: Known) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the hashes of the relevant chunks and the URLs of the relevant pages, no two equal.

    No hashes with URLs: judged by page only. Neither: not judged.
    """
    references = known.references
    hashes: list[str] = []
    urls: list[str] = []

    def take(chunk: Chunk) -> None:
        hashes.append(chunk.chunk_hash)
        urls.append(chunk.page_url)

    def found() -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(dict.fromkeys(hashes)), tuple(dict.fromkeys(urls))

    entries = _list(row.fields, "relevant", row.where, dict)
    if not entries and row.fields.get("page"):
        entries = [{name: row.fields.get(name) for name in ("page", "chunk", "text_contains")}]
    if entries or "relevant" in row.fields:
        for entry in entries:
            if meant := _entry(entry, row.where, references, urls):
                take(meant)
        return found()
    pages = [references.page(url) for url in _list(row.fields, "relevant_urls", row.where, str)]
    if wanted := named_chunks(row):
        urls += pages
        for name in wanted:
            take(references.by_hash(known.named.get(name, name)))
        return found()
    text, url = row.text_or_none("chunk_text"), row.text_or_none("confluence_url")
    if text and not url:
        raise RagBenchError(f"{row.where}: chunk_text needs confluence_url beside it.")
    if url:
        page = references.page(url)
        urls.append(page)
        if text and _several_chunks(row):
            known.warnings.append(
                f"{row.where}: several relevant_chunk_ids and the text of one: judged by page only"
            )
        elif text:
            take(references.beginning(page, text))
    urls += pages
    if not hashes:
        for context in layout.contexts(row):
            bound = known.binder.bind(context)
            known.contexts[True if bound.chunks else None if bound.page else False] += 1
            for chunk in bound.chunks:
                take(chunk)
            urls += [bound.page] if bound.page else []
    return found()


def named_chunks(row: Row) -> list[str]:
    """Return what a row calls its chunks: hashes, ids of the dump, aliases."""
    return [str(one) for one in _list(row.fields, "ground_truth_chunks", row.where, (str, int))]


def _several_chunks(row: Row) -> bool:
    """Whether the forerunner meant more chunks than the one whose text it wrote down."""
    ids = row.fields.get("relevant_chunk_ids")
    return isinstance(ids, list) and len(set(map(str, ids))) > 1


def _entry(
    entry: dict[str, Any], where: str, references: ChunkReferences, urls: list[str]
) -> Chunk | None:
    """Resolve one ``{"page", "chunk" or "text_contains"}``; only a page is added to ``urls``."""
    page, number, part = (entry.get(name) for name in ("page", "chunk", "text_contains"))
    if not isinstance(page, str) or not page:
        raise RagBenchError(f"{where}: each of relevant names its page, by slug or URL.")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise RagBenchError(f"{where}: chunk is the chunk's number on its page, from 1.")
    if part is not None and (not isinstance(part, str) or not part.strip()):
        raise RagBenchError(f"{where}: text_contains must be a text that is not empty.")
    url = references.page(page)
    if number is None and part is None:
        urls.append(url)
        return None
    found = references.nth(url, number) if number is not None else None
    if part is not None:
        meant = references.containing(url, part)
        if found and found.chunk_hash != meant.chunk_hash:
            raise UnresolvedError(f"chunk {number} of {url} is not the one with text_contains")
        found = meant
    return found
