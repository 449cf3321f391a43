"""Reading a reranker's reply: ``{"results": [{"index", "relevance_score"}]}`` as Cohere, Jina and
vLLM send it, or the bare list ``[{"index", "score"}]`` of TEI.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from rag_bench.llm.reading import replies

_ERROR_WITHIN = 4_096  # bytes, in which an error in place of a ranking shows


def read_rerank(content: bytes, n: int, oversize: bool = False) -> replies.ReadReply:
    """Read the bytes of a 200 about ``n`` passages; never raises.

    Readable is only what has a finite score for each passage, once; search units that are not
    named are unknown, and so is a price by them.
    """
    found = replies.read_json(content, oversize, instead_of="results")
    if found.body is None or found.provider_error is not None:
        return found
    scores = _scores(found.body, n)
    if isinstance(scores, str):
        return replies.unreadable(content, scores)
    return replace(
        found,
        prompt_tokens=_tokens(found.body),
        completion_tokens=0,
        served=replies.served_by(found.body),
        search_units=_inside(found.body, "meta", "billed_units", "search_units"),
    )


def error_inside(content: bytes) -> int | None:
    """Return the HTTP status of an error that came in a 200; None: it is none."""
    if b'"error"' not in content[:_ERROR_WITHIN]:
        return None
    return replies.read_json(content, instead_of="results").provider_error


def rerank_scores(content: bytes | str, n: int) -> list[float]:
    """Return the scores of n passages, in their order, from a reply that `read_rerank` could read.

    Raises:
        ValueError: it could not have.
    """
    scores = _scores(json.loads(content), n)
    if isinstance(scores, str):
        raise ValueError(scores)
    return scores


def _scores(body: Any, n: int) -> list[float] | str:
    """Return one score for each index, or what is wrong."""
    rows, field = (body, "score")
    if isinstance(body, dict):
        rows, field = body.get("results"), "relevance_score"
    if not isinstance(rows, list):
        return "JSON, but no ranking (no list of results)"
    found: dict[int, float] = {}
    for row in rows:
        index = row.get("index") if isinstance(row, dict) else None
        # A bool is an int.
        if type(index) is not int or not 0 <= index < n:
            return f"JSON, but no ranking (an index that is none of 0 to {n - 1})"
        if index in found:
            return f"JSON, but no ranking (index {index} stands in it twice)"
        score = row.get(field)
        try:
            score = float(score) if type(score) in (int, float) else math.nan
        except OverflowError:  # a whole number of hundreds of digits
            score = math.inf
        if not math.isfinite(score):
            return f"JSON, but no ranking (the {field} of index {index} is no finite number)"
        found[index] = score
    if len(found) < n:
        return f"JSON, but no ranking ({len(found)} of {n} passages have a score)"
    return [found[index] for index in range(n)]


def _tokens(body: Any) -> int | None:
    """Return the tokens that a reply says it took."""
    for names in (
        ("usage", "total_tokens"),
        ("usage", "prompt_tokens"),
        ("meta", "billed_units", "input_tokens"),
    ):
        found = _inside(body, *names)
        if found is not None:
            return found
    return None


def _inside(body: Any, *names: str) -> int | None:
    for name in names:
        body = body.get(name) if isinstance(body, dict) else None
    if type(body) is float and body.is_integer():
        body = int(body)
    return body if type(body) is int and 0 <= body < 2**31 else None
