"""Every endpoint with every kind of key and token: nothing but probes is open, no hole is left."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
import pytest
from api_access import SECRET, IdentityProvider, a_key, bearer, open_client
from api_runs import a_run
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from starlette.routing import Route

from rag_bench.access.keys import make_key
from rag_bench.api.app import build
from rag_bench.api.gate import PUBLIC, SIGNED
from rag_bench.store.access import keys
from rag_bench.store.access.audit import actions

#: Pages for people: any key opens them. Everything else needs a scope.
PAGES = {
    *("/docs", "/openapi.json"),
    *("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/favicon.png"),
}
#: A page, too, that needs the scope to read.
REPORT = "GET /eval/runs/{run_id}/report"
#: Of each endpoint, by method and path, the scope that it needs, or those of which it needs one.
SCOPES: dict[str, tuple[str, ...]] = {
    "GET /health": ("read",),
    "GET /datasets": ("read",),
    "GET /model_runs": ("read",),
    "GET /leaderboard": ("read",),
    "GET /eval/compare": ("read",),
    "GET /eval/runs": ("read",),
    "GET /eval/runs/{run_id}": ("read",),
    "GET /eval/runs/{run_id}/cases": ("read",),
    "GET /eval/runs/{run_id}/events": ("read",),
    REPORT: ("read",),
    "POST /eval/run": ("run", "run:paid"),
    "DELETE /eval/runs/{run_id}": ("run", "run:paid", "admin"),
    "POST /eval/runs/{run_id}/complete": ("run", "run:paid"),
    "POST /eval/chunk-aliases": ("label",),
    "GET /metrics": ("read",),
    "GET /eval/callbacks": ("read",),
    "POST /eval/callbacks/{callback_id}/replay": ("run",),
    "POST /eval/datasets": ("label",),
    "GET /eval/drafts": ("read",),
    "GET /eval/drafts/{name}": ("read",),
    "POST /eval/drafts": ("label", "run"),
    "DELETE /eval/drafts/{name}": ("label", "run"),
    "DELETE /eval/drafts/{name}/cases/{item_id}": ("label", "run"),
    "POST /eval/drafts/{name}/publish": ("label", "run"),
    "GET /eval/baseline": ("read",),
    "POST /eval/baseline": ("admin",),
    "DELETE /eval/baseline": ("admin",),
    "GET /eval/draws": ("read",),
    "POST /eval/draws": ("label",),
    "GET /eval/draws/{draw_id}/next": ("label",),
    "POST /eval/draws/{draw_id}/labels": ("label",),
    "GET /eval/labels": ("read",),
}


def parts(endpoint: str) -> tuple[str, str]:
    """The method and a path, of things that are not there."""
    method, path = endpoint.split(" ")
    return method, re.sub(r"\{\w+\}", "nothing", path)


ASKED = sorted(
    {
        *map(parts, SCOPES),
        *(("GET", path) for path in PAGES),
        *(("GET", path) for path in ("/no/such/path", "/leaderboard/", "//leaderboard")),
        ("GET", "/HEALTHZ"),
    }
)


@dataclass(frozen=True)
class World:
    """The service with an identity provider and keys in every state."""

    client: TestClient
    engine: Engine
    provider: IdentityProvider


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> IdentityProvider:
    return IdentityProvider(tmp_path_factory.mktemp("provider"))


@pytest.fixture
def world(engine: Engine, provider: IdentityProvider) -> Iterator[World]:
    settings = provider.settings(jwt_secret=SECRET, api_refused_per_minute=100_000)
    with open_client(engine, settings) as client:
        yield World(client, engine, provider)


def revoked(world: World) -> str:
    made = a_key(world.engine)
    with world.engine.begin() as connection:
        keys.revoke(connection, made.split("_")[1])
    return made


def expired(world: World) -> str:
    return a_key(world.engine, lifetime=timedelta(seconds=-1))


def another_secret(world: World) -> str:
    """A well-formed key with the id of a stored one."""
    stored, other = a_key(world.engine), make_key()
    with world.engine.begin() as connection:
        connection.execute(
            text("update rag_bench.api_key set id = :new where id = :old"),
            {"new": other.id, "old": stored.split("_")[1]},
        )
    return other.text


def unsigned(world: World) -> str:
    head, body, _ = world.provider.token().split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT","kid":"rsa"}').rstrip(b"=").decode()
    return f"{head}.{body}."


def confused(world: World) -> str:
    import hashlib
    import hmac

    pem = world.provider.rsa.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    claims = jwt.decode(world.provider.token(), options={"verify_signature": False})
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims)
    )
    signed = head + b"." + body
    made = base64.urlsafe_b64encode(hmac.digest(pem, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + made).decode()


def strange(world: World) -> str:
    return world.provider.token(key=rsa.generate_private_key(65537, 2048))


def basic(user: str, password: str) -> dict[str, str]:
    packed = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {packed}"}


#: Each kind of caller that must not get in: the headers, and the code that says why.
REFUSED: dict[str, tuple[Callable[[World], Any], str]] = {
    "no key": (lambda _: {}, "NO_CREDENTIALS"),
    "an empty header": (lambda _: {"Authorization": ""}, "INVALID_KEY"),
    "a bare scheme": (lambda _: {"Authorization": "Bearer"}, "INVALID_KEY"),
    "another scheme": (lambda w: {"Authorization": f"Digest {a_key(w.engine)}"}, "INVALID_KEY"),
    "no scheme": (lambda w: {"Authorization": a_key(w.engine)}, "INVALID_KEY"),
    "a cut key": (lambda w: bearer(a_key(w.engine)[:-1]), "INVALID_KEY"),
    "a mistyped key": (lambda w: bearer(a_key(w.engine)[:-1] + "_"), "INVALID_KEY"),
    "a key in two parts": (lambda w: bearer(a_key(w.engine).replace("_", "_ ", 1)), "INVALID_KEY"),
    "an unknown key": (lambda _: bearer(make_key().text), "INVALID_KEY"),
    "another's secret": (lambda w: bearer(another_secret(w)), "INVALID_KEY"),
    "SQL as a key": (lambda _: bearer("rb_' or 1=1 --"), "INVALID_KEY"),
    "letters outside of ASCII": (lambda _: {b"authorization": b"Bearer rb_\xff"}, "INVALID_KEY"),
    "a revoked key": (lambda w: bearer(revoked(w)), "REVOKED_KEY"),
    "an expired key": (lambda w: bearer(expired(w)), "EXPIRED_KEY"),
    "a key twice": (
        lambda w: [("Authorization", f"Bearer {a_key(w.engine)}")] * 2,
        "INVALID_KEY",
    ),
    "two headers": (
        lambda w: {**bearer(a_key(w.engine)), "X-API-Key": a_key(w.engine)},
        "INVALID_KEY",
    ),
    "an unknown key in the other header": (
        lambda _: {"X-API-Key": make_key().text},
        "INVALID_KEY",
    ),
    "a token in the header of keys": (
        lambda w: {"X-API-Key": w.provider.token()},
        "INVALID_KEY",
    ),
    "a forged token": (lambda w: bearer(strange(w)), "INVALID_TOKEN"),
    "an expired token": (
        lambda w: bearer(w.provider.token(exp=int(time.time()) - 90)),
        "EXPIRED_TOKEN",
    ),
    "a token of later": (
        lambda w: bearer(w.provider.token(nbf=int(time.time()) + 600)),
        "INVALID_TOKEN",
    ),
    "a token for others": (lambda w: bearer(w.provider.token(aud="others")), "INVALID_TOKEN"),
    "a token of others": (lambda w: bearer(w.provider.token(iss="https://e.org")), "INVALID_TOKEN"),
    "a token without end": (lambda w: bearer(w.provider.token(without=["exp"])), "INVALID_TOKEN"),
    "alg none": (lambda w: bearer(unsigned(w)), "INVALID_TOKEN"),
    "RS256 as HS256": (lambda w: bearer(confused(w)), "INVALID_TOKEN"),
    "no token": (lambda _: bearer("abc.def.ghi"), "INVALID_TOKEN"),
}


def refusal(world: World, path: str, kind: str, method: str = "GET") -> Any:
    headers, code = REFUSED[kind]
    reply = world.client.request(method, path, headers=headers(world))
    assert (reply.status_code, reply.json()["code"]) == (401, code), (path, kind)
    return reply


@pytest.mark.parametrize("kind", REFUSED)
def test_whoever_is_not_known_gets_nowhere(world: World, kind: str) -> None:
    for asked_by, path in ASKED:
        reply = refusal(world, path, kind, asked_by)
        assert reply.headers["content-type"] == "application/problem+json"
        page = path in (*PAGES, parts(REPORT)[1])
        assert reply.headers["www-authenticate"].startswith("Basic" if page else "Bearer")
        body = reply.json()
        assert set(body) == {
            *("type", "title", "status", "detail", "code", "errors", "trace_id"),
        }
        assert body["trace_id"] == reply.headers["x-trace-id"]
        assert "Traceback" not in reply.text
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        refusal(world, "/leaderboard", kind, method)


@pytest.mark.parametrize("endpoint", sorted(SCOPES))
def test_a_key_or_token_without_the_scope_is_refused(world: World, endpoint: str) -> None:
    (method, path), scopes = parts(endpoint), SCOPES[endpoint]
    others = [one for one in ("read", "run", "run:paid", "label", "admin") if one not in scopes]
    for given in (
        bearer(a_key(world.engine, others)),
        bearer(a_key(world.engine, [])),
        bearer(a_key(world.engine, ["a scope of a later version"])),
        bearer(world.provider.token(scope=" ".join(others))),
        bearer(world.provider.token(without=["scope"])),
    ):
        reply = world.client.request(method, path, headers=given)
        assert (reply.status_code, reply.json()["code"]) == (403, "MISSING_SCOPE")
        assert f'scope="{scopes[0]}"' in reply.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("endpoint", "scope"), [(name, scope) for name in sorted(SCOPES) for scope in SCOPES[name]]
)
def test_a_key_or_token_with_the_scope_gets_in(world: World, endpoint: str, scope: str) -> None:
    method, path = parts(endpoint)
    key = a_key(world.engine, [scope])
    for given in (
        bearer(key),
        {"Authorization": f"bearer  {key} "},
        {"X-API-Key": key},
        bearer(world.provider.token(scope=scope)),
        bearer(world.provider.token("ES256", scope=["x", scope])),
        bearer(world.provider.token("HS256", key=SECRET, kid=None, scope=f"product {scope}")),
    ):
        reply = world.client.request(method, path, headers=given)
        if method != "GET":
            assert reply.status_code not in (401, 403, 405, 500)
            continue
        assert reply.status_code in (200, 400, 404), "404: nothing was measured"
        assert world.client.head(path, headers=given).status_code == reply.status_code


def test_no_path_is_redirected(world: World) -> None:
    given = bearer(a_key(world.engine))
    for path in ("/leaderboard/", "/health/", "/docs/", "//health"):
        reply = world.client.get(path, headers=given, follow_redirects=False)
        assert (reply.status_code, reply.json()["code"]) == (404, "NOT_FOUND")


def test_pages_open_by_any_key_and_by_a_browsers_password(world: World) -> None:
    key = a_key(world.engine, ["label"])
    for path in PAGES:
        for given in (bearer(key), basic("anybody", key), basic("", key)):
            assert world.client.get(path, headers=given).status_code == 200
        for wrong in (
            basic("anybody", make_key().text),
            basic(key, "x"),
            basic("anybody", world.provider.token()),
            {"Authorization": "Basic %%%"},
        ):
            assert world.client.get(path, headers=wrong).json()["code"] == "INVALID_KEY"


def test_a_runs_page_opens_by_a_browsers_password_with_the_scope_to_read(world: World) -> None:
    a_run(world.engine, "r1")
    page, key = "/eval/runs/r1/report", a_key(world.engine, ["read"])
    first = world.client.get(page)
    assert first.status_code == 401
    assert first.headers["www-authenticate"].startswith("Basic"), "a browser asks for it"
    shown = world.client.get(page, headers=basic("anybody", key))
    assert shown.status_code == 200
    assert shown.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    newest = actions(world.engine)[0]
    assert (newest.action, newest.run_id, newest.outcome) == (REPORT, "r1", "ok")
    for other in (["run", "run:paid", "label", "admin"], []):
        given = basic("anybody", a_key(world.engine, other))
        assert world.client.get(page, headers=given).json()["code"] == "MISSING_SCOPE"
    for wrong in (basic("anybody", make_key().text), basic(key, "x"), basic("x", "rb_")):
        assert world.client.get(page, headers=wrong).status_code == 401
    # Its address is no key: what stands in it opens nothing, and what is like it is no page.
    for path in (f"{page}?key={key}", "/eval/runs/r1/report/", "/eval/runs/r1", "/eval/runs"):
        given = {} if "?" in path else basic("anybody", key)
        assert world.client.get(path, headers=given).status_code == 401


@pytest.mark.parametrize("endpoint", sorted(set(SCOPES) - {REPORT}))
def test_a_browsers_password_opens_nothing_else(world: World, endpoint: str) -> None:
    """A browser sends it along with whatever another site makes it ask."""
    method, path = parts(endpoint)
    given = basic("anybody", a_key(world.engine, ["read", "run", "run:paid", "label", "admin"]))
    assert world.client.request(method, path, headers=given).status_code == 401


def test_probes_are_open_and_nothing_else_is_in_the_list() -> None:
    assert {"/healthz", "/readyz"} == PUBLIC


def test_every_endpoint_says_which_scope_it_needs(engine: Engine) -> None:
    app = build(engine)
    documented = {
        f"{method.upper()} {path}": next(iter(operation.get("security", [{}])), {}).get(
            "key_or_token", []
        )
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }
    assert documented == {
        **{f"GET {path}": [] for path in PUBLIC},
        **{f"POST {path}": [] for path in SIGNED},  # test_hooks.py
        **{endpoint: [scopes[0]] for endpoint, scopes in SCOPES.items()},
    }
    # What is not documented stands in the application itself: the pages, and no more.
    assert {one.path for one in app.routes if isinstance(one, Route)} == PAGES


def test_tokens_are_refused_where_none_are_set_up(engine: Engine, world: World) -> None:
    with open_client(engine) as client:
        reply = client.get("/datasets", headers=bearer(world.provider.token()))
    assert (reply.status_code, reply.json()["code"]) == (401, "INVALID_TOKEN")


def test_keys_of_tokens_that_cannot_be_had_are_no_refusal(engine: Engine, world: World) -> None:
    settings = world.provider.settings(jwt_jwks="https://127.0.0.1/jwks.json")
    with open_client(engine, settings) as client:
        reply = client.get("/datasets", headers=bearer(world.provider.token()))
        assert (reply.status_code, reply.json()["code"]) == (503, "UNAVAILABLE")
        assert "127.0.0.1" not in reply.text
        assert client.get("/datasets", headers=bearer(a_key(engine))).status_code == 200
