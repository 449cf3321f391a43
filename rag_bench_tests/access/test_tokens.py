"""Tokens of an identity provider: which are believed, which never are; and its public keys."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from api_access import AUDIENCE, ISSUER, SECRET, IdentityProvider
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rag_bench.access.guard import Guard, allowed
from rag_bench.access.jwks import JwksError, KeySet
from rag_bench.access.scopes import Scope
from rag_bench.access.tokens import TokenError, TokenRules, token_rules
from rag_bench.errors import ConfigurationError
from rag_bench.settings import Settings


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> IdentityProvider:
    return IdentityProvider(tmp_path_factory.mktemp("provider"))


def rules(settings: Settings) -> TokenRules:
    found = token_rules(settings)
    assert found is not None
    return found


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("kid", ["", None])
def test_a_good_token_tells_who_and_what(
    provider: IdentityProvider, algorithm: str, kid: str | None
) -> None:
    token = provider.token(algorithm, kid=kid, scope="openid read run:paid")
    who = rules(provider.settings()).principal(token)
    assert who.user_id == "boris"
    assert who.subject == f"jwt:{ISSUER}:boris"
    assert who.scopes == {Scope.READ, Scope.RUN_PAID}
    assert who.key_id is None


def test_hs256_only_with_a_secret(provider: IdentityProvider) -> None:
    token = provider.token("HS256", key=SECRET, kid=None)
    with_secret = Settings(jwt_secret=SECRET, jwt_issuer=ISSUER, jwt_audience=AUDIENCE)
    assert rules(with_secret).principal(token).user_id == "boris"
    with pytest.raises(TokenError, match="algorithm"):
        rules(provider.settings()).principal(token)
    with pytest.raises(TokenError, match="algorithm"):
        rules(with_secret).principal(provider.token("RS256"))
    both = provider.settings(jwt_secret=SECRET)
    assert {rules(both).principal(one).user_id for one in (token, provider.token())} == {"boris"}
    only = provider.settings(jwt_secret=SECRET, jwt_algorithms="ES256")
    for one in (token, provider.token("RS256")):
        with pytest.raises(TokenError, match="algorithm"):
            rules(only).principal(one)
    assert rules(only).principal(provider.token("ES256")).user_id == "boris"


def unsigned(provider: IdentityProvider, name: str) -> str:
    head, body, _ = provider.token().split(".")
    header = {"alg": name, "typ": "JWT", "kid": "rsa"}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{head}.{body}."


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_a_signature_is_never_believed(
    provider: IdentityProvider, name: str
) -> None:
    with pytest.raises(TokenError, match="algorithm"):
        rules(provider.settings(jwt_secret=SECRET)).principal(unsigned(provider, name))


def confused(provider: IdentityProvider, key: bytes) -> str:
    """A token signed by HMAC with what everybody knows: the public key."""
    import hashlib
    import hmac

    def packed(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = jwt.decode(provider.token(), options={"verify_signature": False})
    signed = packed({"alg": "HS256", "typ": "JWT", "kid": "rsa"}) + b"." + packed(claims)
    signature = base64.urlsafe_b64encode(hmac.digest(key, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + signature).decode()


@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_public_key_is_no_secret_of_hs256(provider: IdentityProvider, secret: str | None) -> None:
    public = provider.rsa.public_key()
    texts = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        json.dumps(provider.key_set()["keys"][0]).encode(),
        provider.jwks.read_bytes(),
        b"",
    ]
    for text in texts:
        with pytest.raises(TokenError):
            rules(provider.settings(jwt_secret=secret)).principal(confused(provider, text))


def test_forged_and_foreign_signatures(provider: IdentityProvider, tmp_path: Path) -> None:
    found = rules(provider.settings())
    strange_rsa = rsa.generate_private_key(65537, 2048)
    strange_ec = ec.generate_private_key(ec.SECP256R1())
    head, body, signature = provider.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["scope"] = "admin"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    for token in (
        provider.token(key=strange_rsa),
        provider.token("ES256", key=strange_ec),
        provider.token("ES256", kid="rsa"),
        provider.token("RS256", kid="ec"),
        provider.token(kid="unknown"),
        provider.token("RS512", key=provider.rsa),
        provider.token(header={"crit": ["b64"], "b64": True}),
        f"{head}.{changed}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        "a.b.c",
        "",
        "..",
        "é.é.é",
        "a" * 20_000,
    ):
        with pytest.raises(TokenError):
            found.principal(token)
    # Keys that a token brings along are not looked at.
    own = jwt.algorithms.RSAAlgorithm.to_jwk(strange_rsa.public_key(), as_dict=True)
    for header in (
        {"jwk": own},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://e.example"},
    ):
        with pytest.raises(TokenError):
            found.principal(provider.token(key=strange_rsa, header=header))


def test_times_issuer_and_audience(provider: IdentityProvider) -> None:
    now = int(time.time())
    found = rules(provider.settings(jwt_audience="other, rag_bench"))
    assert found.principal(provider.token(exp=now - 5)).user_id == "boris", "within the leeway"
    assert found.principal(provider.token(aud=["x", "rag_bench"])).user_id == "boris"
    assert found.principal(provider.token(without=["nbf"])).user_id == "boris"
    with pytest.raises(TokenError) as expired:
        found.principal(provider.token(exp=now - 60))
    assert expired.value.kind == "expired"
    for wrong in (
        {"nbf": now + 600},
        {"aud": "another"},
        {"aud": []},
        {"iss": "https://id.example.org/"},
        {"iss": "https://evil.example"},
        {"exp": "soon"},
        {"exp": None},
        {"sub": ""},
        {"sub": "a\0b"},
        {"sub": "a\nb"},
        {"sub": "a" * 201},
        *({"without": [name]} for name in ("exp", "iss", "aud", "sub")),
    ):
        with pytest.raises(TokenError) as refused:
            found.principal(provider.token(**wrong))
        assert refused.value.kind == "invalid"


def test_scopes_come_from_the_claim_that_is_set(provider: IdentityProvider) -> None:
    token = provider.token(
        scope="read",
        groups=["product", "cooks", 7],
        realm_access={"roles": ["ml-engineer"]},
        **{"https://rag/scopes": "admin"},
    )

    def scopes(claim: str) -> frozenset[Scope]:
        return rules(provider.settings(jwt_scopes_claim=claim)).principal(token).scopes

    assert scopes("scope") == {Scope.READ}
    assert scopes("groups") == {Scope.READ, Scope.RUN, Scope.LABEL}
    assert scopes("realm_access.roles") >= {Scope.RUN_PAID}
    assert scopes("https://rag/scopes") == {Scope.ADMIN}
    assert scopes("nothing.there") == frozenset()
    assert scopes("scope.inside") == frozenset()
    by_mail = provider.settings(jwt_user_claim="email")
    assert rules(by_mail).principal(provider.token(email="a@b.example")).user_id == "a@b.example"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"jwt_jwks": "k.json"}, "RAG_BENCH_JWT_ISSUER"),
        ({"jwt_jwks": "k.json", "jwt_issuer": "i"}, "RAG_BENCH_JWT_AUDIENCE"),
        ({"jwt_secret": "short", "jwt_issuer": "i", "jwt_audience": "a"}, "at least 32 bytes"),
        ({"jwt_jwks": "k.json", "jwt_algorithms": "none"}, "'none'"),
        ({"jwt_jwks": "k.json", "jwt_algorithms": "HS256"}, "RAG_BENCH_JWT_SECRET"),
        ({"jwt_secret": SECRET, "jwt_algorithms": "RS256"}, "RAG_BENCH_JWT_JWKS"),
    ],
)
def test_settings_that_would_be_unsafe_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        token_rules(Settings(**given))


def test_without_settings_no_token_is_accepted_and_the_secret_is_not_shown() -> None:
    assert token_rules(Settings()) is None
    assert token_rules(Settings(jwt_secret="")) is None
    assert SECRET not in repr(Settings(jwt_secret=SECRET))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_keys_that_may_not_check_are_passed_over(
    provider: IdentityProvider, tmp_path: Path
) -> None:
    small = rsa.generate_private_key(65537, 1024)
    p384 = ec.generate_private_key(ec.SECP384R1())
    algorithms = jwt.algorithms
    listed = [
        {**algorithms.RSAAlgorithm.to_jwk(small.public_key(), as_dict=True), "kid": "small"},
        {**algorithms.ECAlgorithm.to_jwk(p384.public_key(), as_dict=True), "kid": "p384"},
        {**provider.key_set()["keys"][0], "kid": "for encryption", "use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a secret"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "new", "kid": "new"},
        "no key",
    ]
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"keys": listed}), encoding="utf-8")
    found = rules(provider.settings(jwt_jwks=str(path), jwt_secret=SECRET))
    for token in (
        provider.token(key=small, kid="small"),
        provider.token("ES384", key=p384, kid="p384"),
        provider.token(kid="for encryption"),
        provider.token("HS256", key="secret", kid="a secret"),
        provider.token(kid="broken"),
    ):
        with pytest.raises(TokenError):
            found.principal(token)


def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path: Path) -> None:
    provider = IdentityProvider(tmp_path)
    found = rules(provider.settings())
    assert found.principal(provider.token()).user_id == "boris"
    provider.rsa = rsa.generate_private_key(65537, 2048)
    with pytest.raises(TokenError):
        found.principal(provider.token())
    provider.jwks.write_text(json.dumps(provider.key_set()) + " ", encoding="utf-8")
    assert found.principal(provider.token()).user_id == "boris"
    for broken in ("", "[]", '{"keys": 1}', "{"):
        provider.jwks.write_text(broken + " " * len(broken), encoding="utf-8")
        with pytest.raises(JwksError, match="no readable JWKS file"):
            rules(provider.settings()).principal(provider.token())
    provider.jwks.unlink()
    with pytest.raises(JwksError):
        found.principal(provider.token())


class KeyServer:
    """Serves a JWKS over HTTP and counts how often it is asked."""

    def __init__(self, provider: IdentityProvider) -> None:
        self.body, self.status, self.asked = json.dumps(provider.key_set()).encode(), 200, 0
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked += 1
                self.send_response(served.status)
                self.send_header("Content-Length", str(len(served.body)))
                self.end_headers()
                self.wfile.write(served.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/jwks.json"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def key_server(provider: IdentityProvider) -> Iterator[KeyServer]:
    made = KeyServer(provider)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_an_address_of_keys_is_asked_seldom(
    provider: IdentityProvider, key_server: KeyServer
) -> None:
    now = [1000.0]
    keys = KeySet(key_server.url, Guard(allowed("127.0.0.1")), clock=lambda: now[0])
    for _ in range(3):
        assert [key.key_id for key in keys.keys("rsa")] == ["rsa"]
    assert key_server.asked == 1
    for _ in range(5):  # a token with an id that is not there has them asked for once
        now[0] += 7
        assert keys.keys("unknown") == []
    assert key_server.asked == 2
    now[0] += 601
    key_server.status = 500
    assert len(keys.keys(None)) == 2, "the old ones stand in for a while"
    now[0] += 3601
    with pytest.raises(JwksError, match="cannot be had"):
        keys.keys(None)
    asked = key_server.asked
    with pytest.raises(JwksError, match="a moment ago"):
        keys.keys(None)
    assert key_server.asked == asked
    now[0] += 31
    key_server.status = 200
    assert len(keys.keys(None)) == 2


def test_an_address_inside_is_asked_only_if_the_operator_says_so(
    provider: IdentityProvider, key_server: KeyServer
) -> None:
    token = provider.token()
    with pytest.raises(JwksError):
        rules(provider.settings(jwt_jwks=key_server.url)).principal(token)
    assert key_server.asked == 0
    may = provider.settings(jwt_jwks=key_server.url, outgoing_allowed="127.0.0.1")
    assert rules(may).principal(token).user_id == "boris"
