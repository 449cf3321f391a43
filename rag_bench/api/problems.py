"""Errors as the API tells them: `application/problem+json` (RFC 9457), no exception's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from rag_bench.strict_json.places import InvalidInput, Place, TooLarge, pointer

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = [
    "ABOUT",
    "About",
    "Code",
    "Located",
    "Problem",
    "answer",
    "of_input",
    "of_status",
    "pointer",
]

MEDIA_TYPE = "application/problem+json"


class Code(StrEnum):
    """What went wrong, for programs. Codes are added, never renamed or removed."""

    INVALID_INPUT = "INVALID_INPUT"
    NO_CREDENTIALS = "NO_CREDENTIALS"
    INVALID_KEY = "INVALID_KEY"
    EXPIRED_KEY = "EXPIRED_KEY"
    REVOKED_KEY = "REVOKED_KEY"
    INVALID_TOKEN = "INVALID_TOKEN"
    EXPIRED_TOKEN = "EXPIRED_TOKEN"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    MISSING_SCOPE = "MISSING_SCOPE"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    IN_FLIGHT = "IN_FLIGHT"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    TOO_LARGE = "TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    LIMIT_REACHED = "LIMIT_REACHED"
    REFUSED = "REFUSED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True)
class About:
    """The HTTP status of a code, and what it means in a few words."""

    status: int
    title: str


ABOUT: Mapping[Code, About] = {
    Code.INVALID_INPUT: About(400, "The request cannot be read or has impossible values"),
    Code.NO_CREDENTIALS: About(401, "No key and no token was given"),
    Code.INVALID_KEY: About(401, "The key is not one that is known here"),
    Code.EXPIRED_KEY: About(401, "The key has expired"),
    Code.REVOKED_KEY: About(401, "The key was revoked"),
    Code.INVALID_TOKEN: About(401, "The token is not accepted"),
    Code.EXPIRED_TOKEN: About(401, "The token has expired"),
    Code.INVALID_SIGNATURE: About(401, "The message is not signed as it must be"),
    Code.MISSING_SCOPE: About(403, "The key or token does not allow this"),
    Code.NOT_FOUND: About(404, "There is nothing of this name"),
    Code.METHOD_NOT_ALLOWED: About(405, "This address does not take this method"),
    Code.CONFLICT: About(409, "The state of the run does not allow this"),
    Code.IN_FLIGHT: About(409, "The first request with this key is being answered"),
    Code.IDEMPOTENCY_MISMATCH: About(422, "This key was used for another request"),
    Code.REQUEST_TIMEOUT: About(408, "The body came too slowly"),
    Code.TOO_LARGE: About(413, "The request is too large"),
    Code.UNSUPPORTED_MEDIA_TYPE: About(415, "The request's body is of a kind that is not read"),
    Code.TOO_MANY_REQUESTS: About(429, "Too many requests in a minute"),
    Code.LIMIT_REACHED: About(429, "A limit of runs, or of a day's calls or money, is reached"),
    Code.REFUSED: About(400, "The request is refused"),
    Code.INTERNAL_ERROR: About(500, "The service failed"),
    Code.UNAVAILABLE: About(503, "Something that the service needs cannot be reached"),
}
_BY_STATUS = {about.status: code for code, about in reversed(list(ABOUT.items()))}


#: One problem of a request: in the body, or a parameter.
Located = Place


class Problem(Exception):  # noqa: N818  # what RFC 9457 calls it
    """Raised anywhere below the gate: the request ends with this answer."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        errors: Sequence[Located] = (),
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.status = status or ABOUT[code].status


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """Return the problem of a bare HTTP status, as routing raises it."""
    code = _BY_STATUS.get(status, Code.INTERNAL_ERROR if status >= 500 else Code.REFUSED)
    detail = f"{ABOUT[code].title}."
    if status == 405 and (methods := (headers or {}).get("Allow")):
        detail = f"{ABOUT[code].title}; it takes {methods}."
    if status == 404:
        detail = "There is nothing at this address; /docs and /openapi.json list what there is."
    return Problem(code, detail, headers=headers, status=status)


def of_input(error: InvalidInput | TooLarge) -> Problem:
    """Return the problem of what was sent and cannot be meant, or is too large to be read."""
    if isinstance(error, TooLarge):
        return Problem(Code.TOO_LARGE, str(error))
    return Problem(Code.INVALID_INPUT, error.detail, errors=error.errors)


def answer(scope: Scope, problem: Problem) -> JSONResponse:
    """Return the response of a problem and note its code for log and audit."""
    asked = scope.get("state", {}).get("asked")
    if asked is not None:
        asked.code = problem.code
    slug = problem.code.lower().replace("_", "-")
    body: dict[str, Any] = {
        "type": f"urn:rag-bench:problem:{slug}",
        "title": ABOUT[problem.code].title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "errors": [one.as_json() for one in problem.errors],
        "trace_id": asked.trace_id if asked is not None else None,
    }
    return JSONResponse(body, problem.status, problem.headers, media_type=MEDIA_TYPE)
