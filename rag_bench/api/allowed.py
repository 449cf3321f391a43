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
    """A dependency: refuses callers without a scope, and gives the endpoint the caller."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, request: Request, _given: Annotated[Any, Security(BEARER)]) -> Principal:
        """Return the caller.

        Raises:
            Problem: the caller may not do this.
        """
        caller = request.state.asked.principal
        if not isinstance(caller, Principal):  # behind the gate there is none without
            raise Problem(Code.NO_CREDENTIALS, "Send a key or token.")
        if self.scope not in caller.scopes:
            challenge = (
                f'Bearer realm="rag_bench", error="insufficient_scope", scope="{self.scope}"'
            )
            raise Problem(
                Code.MISSING_SCOPE,
                f"This needs the scope {self.scope}, which the key or token does not have.",
                headers={"WWW-Authenticate": challenge},
            )
        return caller


def needs(scope: Scope) -> Any:
    """Return the dependency of an endpoint that needs a scope."""
    return Security(Needs(scope), scopes=[scope])
