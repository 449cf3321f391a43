"""What a caller may do: scopes, and roles as stated bundles of them.

A scope allows what it says and nothing else: `admin` does not hold the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rag_bench.errors import ConfigurationError


class Scope(StrEnum):
    """One thing that a caller may be allowed to do."""

    READ = "read"
    RUN = "run"
    RUN_PAID = "run:paid"
    LABEL = "label"
    ADMIN = "admin"


#: What each scope is for, in a sentence.
ABOUT: Mapping[Scope, str] = {
    Scope.READ: "read what was measured",
    Scope.RUN: "start evaluations that ask only offline models",
    Scope.RUN_PAID: "start evaluations that ask models that may cost money",
    Scope.LABEL: "store people's labels, questions and names of chunks",
    Scope.ADMIN: "see details that are not for everybody, and change what all depend on",
}

ROLES: Mapping[str, tuple[Scope, ...]] = {
    "ml-engineer": (Scope.READ, Scope.RUN, Scope.RUN_PAID, Scope.LABEL),
    "product": (Scope.READ, Scope.RUN, Scope.LABEL),
}


@dataclass(frozen=True)
class Principal:
    """Who asks: a person or a program, known by a key or a token.

    ``subject`` is what requests are counted by: ``key:<id>`` or ``jwt:<issuer>:<user>``.
    """

    user_id: str
    subject: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    requests_per_minute: int | None = None  # None: the setting's


def expand(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes that names of scopes and roles stand for; unknown names are passed over.

    For tokens, whose claims may hold what is meant for other services.
    """
    found: set[Scope] = set()
    for name in names:
        if name in ROLES:
            found.update(ROLES[name])
        elif name in set(Scope):
            found.add(Scope(name))
    return frozenset(found)


def chosen(roles: Iterable[str], scopes: Iterable[str]) -> tuple[Scope, ...]:
    """Return the scopes of a new key, in the order of `Scope`.

    Raises:
        ConfigurationError: a name is no role or no scope, or there is none at all.
    """
    for role in roles:
        if role not in ROLES:
            raise ConfigurationError(f"There is no role {role!r}; there are {', '.join(ROLES)}.")
    for scope in scopes:
        if scope not in set(Scope):
            raise ConfigurationError(f"There is no scope {scope!r}; there are {', '.join(Scope)}.")
    found = expand([*roles, *scopes])
    if not found:
        raise ConfigurationError(
            f"Say what the key may do: --role ({', '.join(ROLES)}) or --scope ({', '.join(Scope)})."
        )
    return tuple(scope for scope in Scope if scope in found)
