"""A live assistant that is measured as it is: where it is asked, and what of its reply means what.

It takes the place of a generation model, under the key ``target/<name>``; its retrieval is its own.
The environment's variables are read in `rag_bench.llm.config.target_variables`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jsonpointer import JsonPointer
from pydantic import SecretStr

from rag_bench.answer_sources import TARGET_PREFIX

PREFIX = TARGET_PREFIX
QUESTION = "{question}"
#: Least similarity by which a text counts as a chunk's.
SIMILARITY = 0.6
#: What our own prompt asks for; an assistant's words are set by REFUSALS.
REFUSAL = "Ответ не найден"
Method = Literal["POST", "GET"]
Stream = Literal["deltas", "last"]


@dataclass(frozen=True)
class Target:
    """One assistant.

    Attributes:
        name: in lower case, without the prefix of its key.
        url: as it is asked; what stands behind ``?`` included.
        method: GET sends the body's fields in the query.
        body: a JSON value in which `QUESTION` stands inside texts.
        answer: pointer to the answer.
        contexts: pointer to the texts that the answer was made from; None: it names none.
        ids: pointer to what names them: a chunk's id, its hash, or its page's address.
        stream: of replies in events: texts at ``answer`` are joined, or the last event counts.
        headers: all that are sent, by lower-case name.
        public_headers: those of them that hold no secret.
        refusals: an answer that begins with one of them refuses.
        similarity: least share of a text's word trigrams by which it counts as a chunk's.
        version: of the assistant, in the user's words: another one is asked anew.
    """

    name: str
    url: str
    method: Method = "POST"
    body: Any = field(default_factory=lambda: {"question": QUESTION})
    answer: str = "/answer"
    contexts: str | None = None
    ids: str | None = None
    stream: Stream = "deltas"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    public_headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[SecretStr, ...] = ()
    refusals: tuple[str, ...] = (REFUSAL,)
    similarity: float = SIMILARITY
    version: str = ""

    @property
    def key(self) -> str:
        """The key by which it stands among generation models."""
        return PREFIX + self.name

    def variable(self, what: str) -> str:
        """Return the name of one of its variables."""
        return f"TARGET_{self.name.upper()}_{what}"

    @property
    def names_contexts(self) -> bool:
        """Whether its replies are read for contexts."""
        return self.contexts is not None or self.ids is not None

    def request(self, question: str, knowledge: str) -> dict[str, Any]:
        """Return a request as the ledger knows it: what may change the reply, and no secret.

        ``knowledge``: which texts the assistant is taken to answer from; other ones ask anew.
        """
        given = {
            "method": self.method,
            "body": _filled(self.body, question),
            "knowledge": knowledge,
            "headers": dict(self.public_headers),
            "version": self.version,
        }
        return {name: value for name, value in given.items() if value}

    def content(self) -> dict[str, Any]:
        """Return all that its results depend on, for their address."""
        return {
            "url": self.url,
            "request": self.request(QUESTION, ""),
            "answer": self.answer,
            "contexts": self.contexts,
            "ids": self.ids,
            "stream": self.stream,
            "refusals": list(self.refusals),
            "similarity": self.similarity,
        }


def is_target(model_key: str) -> bool:
    """Tell whether a key among generation models is an assistant's, which retrieves by itself."""
    return model_key.startswith(PREFIX)


def parts_of(pointer: str) -> list[str]:
    """Return the names and numbers of a JSON Pointer, unescaped."""
    return [str(part) for part in JsonPointer(pointer).parts]


def _filled(value: Any, question: str) -> Any:
    if isinstance(value, str):
        return value.replace(QUESTION, question)
    if isinstance(value, list):
        return [_filled(inner, question) for inner in value]
    if isinstance(value, dict):
        return {name: _filled(inner, question) for name, inner in value.items()}
    return value
