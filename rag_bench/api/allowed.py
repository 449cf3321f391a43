"""What an endpoint needs: `needs(Scope.READ)` stands in its declaration, and in the OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPBearer

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.problems import Code, Problem

BEARER = HTTPBearer(
    scheme_name="key_or_token",
    description="An API key (`rb_…`, made by `rag-bench keys create`) or a JSON Web Token.",
    auto_error=False,  # the gate has refused already who has none
)


class Needs:
    """A dependency: refuses who has none of the scopes, and gives the endpoint the caller."""

    def __init__(self, scope: Scope, *others: Scope) -> None:
        self.scope, self._enough = scope, {scope, *others}

    async def __call__(
        self, request: Request, _given: Annotated[Any, Security(BEARER)]
    ) -> Principal:
        """Return the caller. Async, as FastAPI gives everything else a thread.

        Raises:
            Problem: the caller may not do this.
        """
        caller = request.state.asked.principal
        if not isinstance(caller, Principal):  # behind the gate there is none without
            raise Problem(Code.NO_CREDENTIALS, "Send a key or token.")
        if not self._enough & caller.scopes:
            raise missing(self.scope)
        return caller


def missing(scope: Scope, what: str = "This") -> Problem:
    """Return the refusal of a caller who does not have the scope that something needs."""
    challenge = f'Bearer realm="rag_bench", error="insufficient_scope", scope="{scope}"'
    return Problem(
        Code.MISSING_SCOPE,
        f"{what} needs the scope {scope}, which the key or token does not have.",
        headers={"WWW-Authenticate": challenge},
    )


def needs(scope: Scope, *others: Scope) -> Any:
    """Return the dependency of an endpoint that needs a scope, or instead one of others."""
    return Security(Needs(scope, *others), scopes=[scope])
