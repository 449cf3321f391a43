"""Clients of the real API on a real database: with a key, with a token, with neither."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from rag_bench.api.app import build
from rag_bench.settings import Settings
from rag_bench.store.access import keys

ISSUER, AUDIENCE = "https://id.example.org", "rag_bench"
SECRET = "a secret of the tests' own, long enough for HS256"


def a_key(
    engine: Engine,
    scopes: Sequence[str] = ("read",),
    *,
    lifetime: timedelta | None = None,
    user: str = "anna",
    per_minute: int | None = None,
) -> str:
    """Store a key and return its text."""
    with engine.begin() as connection:
        made = keys.create(
            connection,
            name="a test's",
            user_id=user,
            scopes=scopes,
            lifetime=lifetime,
            requests_per_minute=per_minute,
        )
    return made.text


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def open_client(engine: Engine, settings: Settings | None = None, **more: Any) -> TestClient:
    """A client without credentials."""
    return TestClient(build(engine, settings, **more), raise_server_exceptions=False)


def reader(engine: Engine, settings: Settings | None = None, **more: Any) -> TestClient:
    """A client with a key that may read."""
    client = open_client(engine, settings, **more)
    client.headers.update(bearer(a_key(engine)))
    return client


class IdentityProvider:
    """Makes tokens as an identity provider does; its public keys are in a JWKS file."""

    def __init__(self, folder: Path) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.jwks = folder / "jwks.json"
        self.jwks.write_text(json.dumps(self.key_set()), encoding="utf-8")

    def key_set(self) -> dict[str, Any]:
        """Both public keys, under the ids `rsa` and `ec`."""
        algorithms = jwt.algorithms
        of_rsa = algorithms.RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True)
        of_ec = algorithms.ECAlgorithm.to_jwk(self.ec.public_key(), as_dict=True)
        return {
            "keys": [
                {**of_rsa, "kid": "rsa", "use": "sig", "alg": "RS256"},
                {**of_ec, "kid": "ec", "use": "sig", "alg": "ES256"},
            ]
        }

    def settings(self, **more: Any) -> Settings:
        """Settings that believe this provider."""
        given = {"jwt_jwks": str(self.jwks), "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
        return Settings(**{**given, **more})

    def token(
        self,
        algorithm: str = "RS256",
        *,
        key: Any = None,
        kid: str | None = "",
        header: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
        **claims: Any,
    ) -> str:
        """A good token for an hour, or one that differs as is said."""
        now = int(time.time())
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "boris",
            "exp": now + 3600,
            "nbf": now - 5,
            "scope": "read",
            **claims,
        }
        for name in without:
            del said[name]
        own = {"RS256": ("rsa", self.rsa), "ES256": ("ec", self.ec)}
        default_kid, default_key = own.get(algorithm, ("rsa", None))
        made_header = {**(header or {})}
        if kid is not None:
            made_header["kid"] = kid or default_kid
        return jwt.encode(said, key or default_key, algorithm, headers=made_header)
