"""Retrievers: named ways to find the chunks of a question, declared in one file.

``RAG_BENCH_RETRIEVERS`` names a TOML file with a table ``[retrievers.NAME]`` for each, and a table
``[rerankers.NAME]`` for each reranker that they name; unset, it is the file that comes with this
package. ``default`` is no entry of it: it is always there, and is what the settings say. Only
pydantic is imported: commands and definitions need the names to load.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from rag_bench.errors import ConfigurationError
from rag_bench.searches import (
    RETRIEVER_SEARCH_OF,
    RETRIEVER_SEARCHES,
    RetrieverSearch,
    SingleSearch,
)
from rag_bench.settings import Settings

VARIABLE = "RAG_BENCH_RETRIEVERS"
#: The present settings, as a retriever.
DEFAULT = "default"
#: Where settings, as they are stored, have a retriever's name; those of `default` have none.
NAME_IN_SETTINGS = "retriever_name"
SHIPPED = Path(__file__).with_name("retrievers.toml")

# A name is a partition key, a value of a flag and a part of a variable.
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_TABLES = ("retrievers", "rerankers")


class _Declared(BaseModel):
    """A table of the file. Values are of exactly the type that is asked for: ``"10"`` is no 10."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Bm25(_Declared):
    """Parameters of BM25 (Robertson and Zaragoza 2009), as `bm25s` names them."""

    k1: float = Field(default=1.5, ge=0, description="How soon repeating a word counts no more.")
    b: float = Field(default=0.75, ge=0, le=1, description="How much a chunk's length counts.")
    method: Literal["robertson", "lucene", "atire", "bm25l", "bm25+"] = Field(
        default="lucene", description="Which of the published formulas."
    )


class LateInteraction(_Declared):
    """MaxSim over the token vectors of the default encoder (Khattab and Zaharia 2020)."""

    kind: Literal["late_interaction"]

    def content(self) -> dict[str, Any]:
        """Return all that its scores depend on."""
        return self.model_dump(mode="json")


class CrossEncoder(_Declared):
    """A sentence-transformers cross-encoder, on this machine."""

    kind: Literal["cross_encoder"]
    model: str = Field(min_length=1, description="Local folder or hub name.")
    max_tokens: int | None = Field(
        default=None, ge=1, description="Of question and chunk together; unset: the model's limit."
    )
    batch_size: int = Field(default=32, ge=1, description="Pairs per forward pass.")

    def content(self) -> dict[str, Any]:
        """Return all that its scores depend on; not how many pairs go through at once."""
        return self.model_dump(mode="json", exclude={"batch_size"})


class HttpReranker(_Declared):
    """A service with a ``/rerank`` address, as Jina, Cohere, TEI and vLLM have it."""

    kind: Literal["http"]
    url: str = Field(pattern=r"^https?://[^\s/]+", description="Its whole address.")
    model: str = Field(default="", description="As the service calls it; empty: it has one only.")
    provider: str = Field(
        default="rerank",
        pattern=r"^[a-z0-9][a-z0-9_]*$",
        description="Its name for limits (PROVIDER_<NAME>_CONCURRENCY, _RPM) and prices.",
    )
    api_key_variable: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="Name of the environment variable that holds the key; empty: none is needed.",
    )
    passages_field: Literal["documents", "texts"] = Field(
        default="documents", description="What the service calls the chunks; TEI: texts."
    )
    passages_per_call: int = Field(
        default=100, ge=1, description="Chunks in one request; TEI takes 32 unless told otherwise."
    )

    def content(self) -> dict[str, Any]:
        """Return all that its scores depend on; how it is paid for is nothing of that."""
        left_out = {"api_key_variable", "provider", "passages_field", "passages_per_call"}
        return self.model_dump(mode="json", exclude=left_out)


RerankerSpec = LateInteraction | CrossEncoder | HttpReranker
"""A reranker as it is declared, told by its ``kind``."""

_RERANKER: TypeAdapter[RerankerSpec] = TypeAdapter(
    Annotated[RerankerSpec, Field(discriminator="kind")]
)
RERANKER_KINDS: Mapping[str, type[_Declared]] = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(RerankerSpec)
}


class Retriever(_Declared):
    """A named way to find the chunks of a question.

    Attributes:
        name: never a part of what is hashed.
        reranks: the reranker that ``reranker`` names; set by the reader of the file.
    """

    name: str
    search: RetrieverSearch
    encoder: str = Field(
        default="", description="Name or folder; empty: the settings' (RAG_BENCH_ENCODER)."
    )
    candidates: int = Field(
        default=100, ge=1, description="Chunks of each search before fusion and reranking."
    )
    reranker: str = Field(default="", description="Name of a table [rerankers.NAME]; empty: none.")
    top_k: int | None = Field(default=None, ge=1, description="Unset: the run's.")
    threshold: float | None = Field(
        default=None, description="Least score of a chunk given to the generator; unset: the run's."
    )
    bm25: Bm25 = Field(default=Bm25(), description="Parameters of BM25.")
    fuse: tuple[SingleSearch, ...] = Field(
        default=("dense_exact", "bm25"), strict=False, description="The searches of hybrid."
    )
    rrf_k: int = Field(default=60, ge=1, description="The constant of reciprocal rank fusion.")
    reranks: RerankerSpec | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _fuses_several_searches(self) -> Retriever:
        if len(set(self.fuse)) < max(2, len(self.fuse)):
            raise ValueError(f"fuse: two or more different ones of {_list(get_args(SingleSearch))}")
        if self.is_deep and self.top_k and self.top_k > self.candidates:
            raise ValueError(
                f"top_k: {self.top_k} chunks cannot be chosen among {self.candidates} candidates; "
                "raise candidates"
            )
        return self

    @property
    def searches(self) -> tuple[RetrieverSearch, ...]:
        """The searches that are made: one, or those that are fused."""
        return self.fuse if self.search == "hybrid" else (self.search,)

    @property
    def is_deep(self) -> bool:
        """Whether more chunks are looked at than are returned: ``candidates`` matter."""
        return self.search == "hybrid" or bool(self.reranker)

    @property
    def gives_cosines(self) -> bool:
        """Whether the scores of its chunks are cosine similarities."""
        return RETRIEVER_SEARCHES[self.search].cosines and not self.reranker

    @property
    def reads_vectors(self) -> bool:
        """Whether questions and chunks are compared by their vectors."""
        return any(name.startswith("dense_") for name in self.searches)

    def content(self) -> dict[str, Any]:
        """Return what is hashed: all that changes which chunks are found, and nothing else.

        Neither the name, nor what this retriever does not read (parameters of BM25 without BM25).
        ``top_k`` and ``threshold`` are settings of the run, which holds them already.
        """
        found: dict[str, Any] = {"search": self.search}
        if self.reads_vectors and self.encoder:
            found["encoder"] = self.encoder
        if "bm25" in self.searches:
            found["bm25"] = self.bm25.model_dump(mode="json")
        if self.search == "hybrid":
            # The order decides nothing: ranks are summed, and ties have an order of their own.
            found |= {"fuse": sorted(self.fuse), "rrf_k": self.rrf_k}
        if self.is_deep:
            found["candidates"] = self.candidates
        if self.reranks:
            found["reranker"] = self.reranks.content()
        return found


@dataclass(frozen=True)
class _File:
    retrievers: Mapping[str, Retriever]
    rerankers: Mapping[str, RerankerSpec]


def retrievers(settings: Settings) -> Mapping[str, Retriever]:
    """Return all retrievers by name, ``default`` first, then in the order of the file.

    Raises:
        ConfigurationError: the file cannot be read, or something in it cannot be meant; the
            message names file, table, key and what is allowed.
    """
    default = Retriever(name=DEFAULT, search=RETRIEVER_SEARCH_OF[settings.search])
    return {DEFAULT: default, **_read(_path(settings)).retrievers}


def rerankers(settings: Settings) -> Mapping[str, RerankerSpec]:
    """Return all rerankers by name, in the order of the file; raises as `retrievers`."""
    return _read(_path(settings)).rerankers


def retriever_named(settings: Settings, name: str) -> Retriever:
    """Return a retriever; raises as `retrievers`, and ConfigurationError where there is none."""
    known = retrievers(settings)
    if name not in known:
        raise ConfigurationError(
            f"There is no retriever {name!r}. There are: {', '.join(known)} "
            f"({_path(settings)}; {VARIABLE} names another file)."
        )
    return known[name]


def name_in(settings: Mapping[str, Any]) -> str:
    """Return the name of the retriever in settings as they are stored."""
    return str(settings.get(NAME_IN_SETTINGS) or DEFAULT)


def _path(settings: Settings) -> Path:
    return settings.retrievers.expanduser() if settings.retrievers else SHIPPED


def _read(path: Path) -> _File:
    try:
        said = path.stat()
        return _read_as(path, said.st_mtime_ns, said.st_size, said.st_ino)
    except OSError:
        return _read_as.__wrapped__(path, 0, 0, 0)  # which says why it cannot be read


@lru_cache(maxsize=4)
def _read_as(path: Path, changed: int, size: int, inode: int) -> _File:
    """Read a file as it is now: a service asks for it with every run."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{VARIABLE}: {path} cannot be read ({error}). Unset, the file that comes with "
            "rag_bench is used."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{VARIABLE}: {path} is no TOML: {error}.") from None
    _known(path, "the top of the file", table, _TABLES, "table")
    named = {kind: _tables_of(path, kind, table.get(kind, {})) for kind in _TABLES}
    found = {name: _reranker(path, name, said) for name, said in named["rerankers"].items()}
    return _File(
        {name: _retriever(path, name, said, found) for name, said in named["retrievers"].items()},
        found,
    )


def _tables_of(path: Path, kind: str, tables: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(tables, dict):
        raise _wrong(path, kind, f"should hold tables [{kind}.NAME]")
    for name, said in tables.items():
        if not isinstance(said, dict):
            raise _wrong(path, kind, f"{name!r} should be a table [{kind}.{name}]")
        if not _NAME.fullmatch(name):
            raise _wrong(
                path, f"[{kind}.{name!r}]", "a name is lower-case letters, digits, '_', '-' and '.'"
            )
    if kind == "retrievers" and DEFAULT in tables:
        raise _wrong(
            path,
            f"[{kind}.{DEFAULT}]",
            f"{DEFAULT!r} is reserved: it is what the settings say. Give it another name",
        )
    return tables


def _reranker(path: Path, name: str, said: dict[str, Any]) -> RerankerSpec:
    place = f"[rerankers.{name}]"
    kind = said.get("kind")
    if not isinstance(kind, str) or kind not in RERANKER_KINDS:
        problem = f"there is no {kind!r}" if "kind" in said else "it is missing"
        raise _wrong(path, place, f"kind: {problem}. Allowed: {_list(RERANKER_KINDS)}")
    _known(path, place, said, RERANKER_KINDS[kind].model_fields, "key")
    try:
        return _RERANKER.validate_python(said)
    except ValidationError as error:
        raise _invalid(path, place, error, {kind}) from None


def _retriever(
    path: Path, name: str, said: dict[str, Any], known: Mapping[str, RerankerSpec]
) -> Retriever:
    place = f"[retrievers.{name}]"
    keys = [key for key in Retriever.model_fields if key not in ("name", "reranks")]
    _known(path, place, said, keys, "key")
    if "search" not in said:
        raise _wrong(path, place, f"search: it is missing. Allowed: {_list(RETRIEVER_SEARCHES)}")
    if isinstance(said.get("bm25"), dict):
        _known(path, f"[retrievers.{name}.bm25]", said["bm25"], Bm25.model_fields, "key")
    reranker = said.get("reranker", "")
    if isinstance(reranker, str) and reranker and reranker not in known:
        raise _wrong(
            path,
            place,
            f"reranker: there is no [rerankers.{reranker}] in this file. "
            f"There are: {_list(known) or 'none'}",
        )
    try:
        return Retriever.model_validate({**said, "name": name, "reranks": known.get(reranker)})
    except ValidationError as error:
        raise _invalid(path, place, error) from None


def _known(
    path: Path, place: str, said: Mapping[str, Any], allowed: Collection[str], what: str
) -> None:
    if unknown := [key for key in said if key not in allowed]:
        raise _wrong(path, place, f"there is no {what} {unknown[0]!r}. Allowed: {_list(allowed)}")


def _invalid(
    path: Path, place: str, error: ValidationError, left_out: Collection[str] = ()
) -> ConfigurationError:
    """Return all that pydantic dislikes in a table; ``left_out`` of places, as no key is so."""
    problems = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"] if part not in left_out)
        words = problem["msg"].removeprefix("Value error, ")
        given = f", not {problem['input']!r}" if key and problem["type"] != "missing" else ""
        problems.append(f"{key}: {words}{given}" if key else words)
    return _wrong(path, place, "; ".join(problems))


def _wrong(path: Path, place: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{VARIABLE}: {path}, {place}: {problem}.")


def _list(names: Collection[str]) -> str:
    return ", ".join(names)
