"""What a live assistant answered, read as an answer of the pipeline is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.evaluation.text.text_folding import words
from rag_bench.llm.config.targets import Target
from rag_bench.llm.reading.target_reply import TargetReply
from rag_bench.llm.tasks.pipeline import (
    INVALID_CITATION,
    NO_CITATIONS,
    REFUSED,
    is_refusal,
    split_citations,
)
from rag_bench.tiers.answers.own_contexts import OwnContexts
from rag_bench.tiers.answers.targets.target_contexts import Resolved, Resolver

#: Flags of a case: its sources are named beside the text, so that what it cites is not known; a
#: context is no chunk or page.
SOURCES_APART = "sources_apart"
UNRESOLVED_CONTEXTS = "unresolved_contexts"


@dataclass(frozen=True, kw_only=True)
class TargetAnswer(OwnContexts):
    """An answer of a live assistant.

    Attributes:
        resolved: the contexts that it named, as they were found in the snapshot.
    """

    resolved: tuple[Resolved, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return what is stored of its contexts, in their order."""
        return [row for one in self.resolved for row in one.rows()]


def read_target_answer(target: Target, reply: TargetReply, resolver: Resolver) -> TargetAnswer:
    """Read citations, refusal and contexts of a reply.

    ``[n]`` in the text cites the n-th context; a text without any that fits cites nothing that we
    know of, and measures of citations do not apply to it.
    """
    resolved = resolver.resolve(reply.contexts)
    numbers, text = split_citations(reply.answer)
    fitting = [number for number in numbers if 1 <= number <= len(resolved)]
    # The whole page may be cited for any of its chunks.
    known = all(resolved[number - 1].by != "page" for number in fitting)
    refused = _refuses(text, target.refusals)
    flags = list(reply.flags)
    cited: list[str] = []
    if not fitting or not known:
        flags.append(SOURCES_APART)
        text = text if fitting else reply.answer
    else:
        for number in fitting:
            chunks = [chunk.chunk_hash for chunk in resolved[number - 1].chunks]
            cited += chunks or [f"context {number}"]  # it is no chunk, so it is not right
        if len(fitting) < len(numbers):
            flags.append(INVALID_CITATION)
    if refused and not is_refusal(text):
        flags.append(REFUSED)
    if any(one.by == "nothing" for one in resolved):
        flags.append(UNRESOLVED_CONTEXTS)
    return TargetAnswer(
        text=text,
        reply=reply.answer,
        citations=() if refused else tuple(dict.fromkeys(cited)),
        refused=refused,
        latency_ms=reply.latency_ms,
        flags=tuple(flag for flag in flags if flag != NO_CITATIONS),
        resolved=resolved,
        fragments=tuple(
            fragment
            for one in resolved
            for fragment in one.fragments(
                resolver.of_page(one.page) if one.by == "page" and one.named.text is None else ()
            )
        ),
    )


def _refuses(text: str, phrases: Sequence[str]) -> bool:
    """Tell whether a text begins with one of the phrases, case and punctuation aside."""
    found = words(text)
    return any(bool(begin := words(phrase)) and found[: len(begin)] == begin for phrase in phrases)
