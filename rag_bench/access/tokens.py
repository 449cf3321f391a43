"""JSON Web Tokens of an identity provider: which are believed, and whom they tell of.

An algorithm is bound to the kind of key that it is checked by, so that a token cannot choose: RS256
and ES256 only by public keys of the JWKS, HS256 only by the secret of the settings, `none` never. A
token must say `iss`, `aud`, `exp` and who it is of; `nbf` is checked where it stands. The addresses
of keys that a token may name in its header (`jku`, `x5u`, `jwk`) are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rag_bench.access.scopes import Principal, expand
from rag_bench.errors import ConfigurationError, RagBenchError

if TYPE_CHECKING:
    from jwt import PyJWK

    from rag_bench.access.jwks import KeySet
    from rag_bench.settings import Settings

_BY_KEY_SET = {"RS256": "RSA", "ES256": "EC"}
ALGORITHMS = (*_BY_KEY_SET, "HS256")
_MOST_LETTERS = 16_384
_MOST_OF_A_NAME = 200  # letters
_LEAST_SECRET = 32  # bytes, as RFC 7518 asks of HS256
_LEAST_RSA = 2048  # bits


class TokenError(RagBenchError):
    """A token that is not believed; ``kind``: whether it was good once."""

    def __init__(self, message: str, kind: Literal["invalid", "expired"] = "invalid") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class TokenRules:
    """What a token must fulfil. ``secret``: of HS256; ``keys``: the public ones of the others."""

    algorithms: tuple[str, ...]
    issuer: str
    audience: tuple[str, ...]
    scopes_claim: str = "scope"
    user_claim: str = "sub"
    leeway_seconds: int = 30
    secret: str | None = None
    keys: KeySet | None = None

    def principal(self, token: str) -> Principal:
        """Return whom a token tells of.

        Raises:
            TokenError: it is malformed, forged, expired, not yet valid, or meant for others.
            JwksError: the public keys cannot be had now.
        """
        claims = self._claims(token)
        user = _at(claims, self.user_claim)
        # What is written into the audit is one short line.
        if not isinstance(user, str) or not user.strip() or not user.isprintable():
            raise TokenError(f"The token does not say who it is of ({self.user_claim}).")
        if len(user) > _MOST_OF_A_NAME:
            raise TokenError(f"The token's {self.user_claim} is too long.")
        subject = f"jwt:{claims['iss']}:{user}"
        return Principal(user, subject, expand(_words(_at(claims, self.scopes_claim))))

    def _claims(self, token: str) -> dict[str, Any]:
        import jwt

        if len(token) > _MOST_LETTERS:
            raise TokenError("The token is too long.")
        try:
            header = jwt.get_unverified_header(token)
            name = header.get("alg")
            if name not in self.algorithms:
                raise TokenError("The token's algorithm is not one that is accepted here.")
            if "crit" in header:
                raise TokenError("The token demands extensions that are not known here.")
            found: dict[str, Any] = jwt.decode(
                token,
                self._key(name, header.get("kid")),
                algorithms=[name],
                issuer=self.issuer,
                audience=list(self.audience),
                leeway=self.leeway_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenError("The token has expired.", "expired") from None
        except jwt.ImmatureSignatureError:
            raise TokenError("The token is not valid yet.") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise TokenError("The token is of another issuer, or not meant for this.") from None
        except jwt.MissingRequiredClaimError as error:
            raise TokenError(f"The token lacks the claim {error.claim}.") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenError("The token is malformed or its signature is wrong.") from None
        return found

    def _key(self, algorithm: str, kid: object) -> Any:
        if algorithm == "HS256":
            return self.secret
        assert self.keys is not None
        fitting = [
            key
            for key in self.keys.keys(kid if isinstance(kid, str) else None)
            if _fits(key, algorithm)
        ]
        if len(fitting) != 1:
            raise TokenError("The token names no key that is known here.")
        return fitting[0].key


def _fits(key: PyJWK, algorithm: str) -> bool:
    """Whether a public key may check this algorithm; one for encryption, or a weak one, may not."""
    if key.key_type != _BY_KEY_SET[algorithm] or key.public_key_use not in (None, "sig"):
        return False
    # Without `alg` the library takes RSA for RS256 and P-256 for ES256; other curves differ here.
    if key.algorithm_name != algorithm:
        return False
    if algorithm == "ES256":
        return bool(key.key.curve.name == "secp256r1")
    return bool(key.key.key_size >= _LEAST_RSA)


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim; ``realm_access.roles`` is one inside another unless it is a name itself."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _words(claim: Any) -> Sequence[str]:
    if isinstance(claim, str):
        return claim.split()
    if isinstance(claim, list):
        return [one for one in claim if isinstance(one, str)]
    return ()


def token_rules(settings: Settings) -> TokenRules | None:
    """Return what the settings say of tokens; None: tokens are not accepted.

    Raises:
        ConfigurationError: what is said is too little to be safe, or contradicts itself.
    """
    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
    if not secret and not settings.jwt_jwks:
        return None
    possible = (*(_BY_KEY_SET if settings.jwt_jwks else ()), *(("HS256",) if secret else ()))
    wanted = tuple(filter(None, (one.strip() for one in settings.jwt_algorithms.split(","))))
    for name in wanted:
        if name not in ALGORITHMS:
            raise ConfigurationError(
                f"RAG_BENCH_JWT_ALGORITHMS names {name!r}; there are {', '.join(ALGORITHMS)}."
            )
        if name not in possible:
            needed = "RAG_BENCH_JWT_SECRET" if name == "HS256" else "RAG_BENCH_JWT_JWKS"
            raise ConfigurationError(f"RAG_BENCH_JWT_ALGORITHMS: {name} needs {needed}.")
    if secret and len(secret.encode()) < _LEAST_SECRET:
        raise ConfigurationError(
            f"RAG_BENCH_JWT_SECRET must have at least {_LEAST_SECRET} bytes; make one with "
            "`openssl rand -hex 32`."
        )
    audience = tuple(filter(None, (one.strip() for one in settings.jwt_audience.split(","))))
    if not settings.jwt_issuer or not audience:
        raise ConfigurationError(
            "Set RAG_BENCH_JWT_ISSUER and RAG_BENCH_JWT_AUDIENCE as well: without them a token "
            "that was made for another service would be accepted."
        )
    keys = None
    if settings.jwt_jwks:
        from rag_bench.access.guard import guard_of
        from rag_bench.access.jwks import KeySet

        keys = KeySet(settings.jwt_jwks, guard_of(settings))
    return TokenRules(
        wanted or possible,
        settings.jwt_issuer,
        audience,
        settings.jwt_scopes_claim,
        settings.jwt_user_claim,
        settings.jwt_leeway_seconds,
        secret,
        keys,
    )
