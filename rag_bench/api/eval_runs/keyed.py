"""Requests that name an Idempotency-Key: what tells them apart, and the first answer again."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from rag_bench.api.problems import Code, Located, Problem
from rag_bench.store.eval_runs.idempotency import First, Named

if TYPE_CHECKING:
    from fastapi import Request

HEADER = "Idempotency-Key"
#: Says that an answer is the first one, again.
REPLAYED = "Idempotency-Replayed"
# The draft's form is a quoted string; many clients send it bare.
_KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"|([!#-~]{1,255})')


def key_of(request: Request) -> str | None:
    """Return the key that a request names; None: none.

    Raises:
        Problem: what it names can be no key.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    found = _KEY.fullmatch(given[0].strip()) if len(given) == 1 else None
    if found is None:
        raise Problem(
            Code.INVALID_INPUT,
            "The request has impossible values.",
            errors=[Located("Send one key of 1 to 255 printable characters.", parameter=HEADER)],
        )
    return found[1] if found[1] is not None else found[2]


def hash_of(body: Any, *more: str) -> str:
    """Return what two bodies are the same by: their values, not their spaces and order of names."""
    text = json.dumps([body, *more], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def again(named: Named, first: First) -> Response | None:
    """Return the first answer; None: it was never given, and its run is to be looked at.

    Raises:
        Problem: the key was used for another body, or the first request is being answered.
    """
    if first.body_hash != named.body_hash:
        raise Problem(
            Code.IDEMPOTENCY_MISMATCH,
            "This key was used for another request; each needs its own.",
        )
    if first.status is not None:
        headers = {**first.headers, REPLAYED: "true"}
        return Response(first.body, first.status, headers, media_type="application/json")
    if first.in_flight:
        raise Problem(
            Code.IN_FLIGHT,
            "The first request with this key is being answered: follow its run at Location, or "
            "send this again in a second.",
            headers={"Retry-After": "1", "Location": f"/eval/runs/{first.run_id}"},
        )
    return None
