"""``rag-bench keys``, ``rag-bench audit``, and the key that ``rag-bench dev`` makes."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_access import bearer, open_client
from command_line import RagBench
from sqlalchemy import Engine, text

from rag_bench.access.keys import id_of
from rag_bench.cli.service.development_key import SCOPES, development_key
from rag_bench.store.access.keys import list_keys

HEAVY = ("fastapi", "starlette", "uvicorn", "jwt", "cryptography", "httpx", "sqlalchemy", "dagster")


def test_a_key_is_made_shown_once_and_listed_without_its_secret(
    rag_bench: RagBench, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_RUN_AUTHOR", "operator")
    made = rag_bench("keys", "create", "ноутбук Анны", "--user", "anna", "--role", "product")
    key = made.out.strip()
    key_id = id_of(key)
    assert made.code == 0
    assert key_id
    assert "not shown again" in made.err
    assert key not in made.err
    listed = rag_bench("keys", "list").out
    assert "ноутбук Анны" in listed
    assert "read, run, label" in listed
    assert "active" in listed
    (one,) = json.loads(rag_bench("keys", "list", "--json").out)
    assert (one["id"], one["user_id"], one["last_used_at"]) == (key_id, "anna", None)
    assert "secret_hash" not in one
    expires = datetime.fromisoformat(one["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < expires <= timedelta(days=90)
    with engine.connect() as connection:
        rows = connection.execute(text("select * from rag_bench.api_key")).mappings().all()
    assert key.split("_")[2] not in str(rows), "only its hash is stored"
    with open_client(engine) as client:
        assert client.get("/datasets", headers=bearer(key)).status_code == 200

    mine = rag_bench("keys", "create", "x", "--scope", "admin", "--expires", "never").out.strip()
    newest = list_keys(engine)[0]
    assert (newest.id, newest.user_id, newest.scopes) == (id_of(mine), "operator", ("admin",))
    assert newest.expires_at is None


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from rag_bench.cli import main; sys.argv = ['rag-bench', 'keys', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print(sorted({{name.partition('.')[0] for name in sys.modules}} & set({HEAVY})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "rotate" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_key_is_revoked_at_once(rag_bench: RagBench, engine: Engine) -> None:
    key = rag_bench("keys", "create", "x", "--scope", "read").out.strip()
    with open_client(engine) as client:
        assert client.get("/datasets", headers=bearer(key)).status_code == 200
        assert "is revoked" in rag_bench("keys", "revoke", id_of(key)).out
        assert client.get("/datasets", headers=bearer(key)).json()["code"] == "REVOKED_KEY"
    assert "was revoked already" in rag_bench("keys", "revoke", id_of(key)).out
    assert "revoked" in rag_bench("keys", "list").out
    assert "no key nothing" in rag_bench("keys", "revoke", "nothing").one_line()


def test_rotation_has_an_overlap(rag_bench: RagBench, engine: Engine) -> None:
    given = ("--role", "ml-engineer", "--user", "ci", "--requests-per-minute", "7")
    old = rag_bench("keys", "create", "nightly", *given, "--expires", "30d").out.strip()
    made = rag_bench("keys", "rotate", id_of(old), "--overlap", "2h")
    new = made.out.strip()
    assert new != old
    assert "stays good until" in made.err
    by_id = {one.id: one for one in list_keys(engine)}
    before, after = by_id[id_of(old)], by_id[id_of(new)]
    assert (after.name, after.user_id, after.scopes) == ("nightly", "ci", before.scopes)
    assert after.requests_per_minute == 7
    assert before.replaced_by == after.id
    now = datetime.now(UTC)
    assert timedelta(hours=1) < before.expires_at - now <= timedelta(hours=2)
    assert timedelta(days=29) < after.expires_at - now <= timedelta(days=30)
    with open_client(engine) as client:
        for key in (old, new):
            assert client.get("/datasets", headers=bearer(key)).status_code == 200
        with engine.begin() as connection:
            connection.execute(
                text("update rag_bench.api_key set expires_at = now() where id = :id"),
                {"id": before.id},
            )
        assert client.get("/datasets", headers=bearer(old)).json()["code"] == "EXPIRED_KEY"
        assert client.get("/datasets", headers=bearer(new)).status_code == 200
    assert "rotated to" in rag_bench("keys", "rotate", id_of(old)).one_line()
    assert "rotated to" in rag_bench("keys", "list").out


def test_an_overlap_never_makes_the_old_key_live_longer(
    rag_bench: RagBench, engine: Engine
) -> None:
    old = rag_bench("keys", "create", "x", "--scope", "read", "--expires", "1h").out.strip()
    new = rag_bench("keys", "rotate", id_of(old), "--overlap", "9d", "--expires", "never")
    by_id = {one.id: one for one in list_keys(engine)}
    assert by_id[id_of(old)].expires_at < datetime.now(UTC) + timedelta(hours=1)
    assert by_id[id_of(new.out.strip())].expires_at is None
    endless = new.out.strip()
    at_once = rag_bench("keys", "rotate", id_of(endless), "--overlap", "0m").out.strip()
    by_id = {one.id: one for one in list_keys(engine)}
    assert by_id[id_of(endless)].state == "expired"
    assert by_id[id_of(at_once)].expires_at is None, "as long as the old one was made for"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x",), "--role"),
        (("x", "--role", "boss"), "ml-engineer, product"),
        (("x", "--scope", "write"), "run:paid"),
        (("x", "--scope", "read", "--expires", "soon"), "--expires"),
        (("x", "--scope", "read", "--expires", "999999999d"), "--expires"),
        (("a\nb", "--scope", "read"), "one line"),
        (("", "--scope", "read"), "one line"),
    ],
)
def test_what_makes_no_key_says_why(
    rag_bench: RagBench, engine: Engine, arguments: tuple[str, ...], said: str
) -> None:
    assert said in rag_bench("keys", "create", *arguments).one_line()
    assert list_keys(engine) == []


def test_the_audit_is_shown(rag_bench: RagBench, engine: Engine) -> None:
    key = rag_bench("keys", "create", "x", "--user", "anna", "--scope", "read").out.strip()
    with open_client(engine) as client:
        client.get("/datasets", headers=bearer(key))
        client.get("/leaderboard", headers=bearer(key))
        client.get("/datasets")
    shown = rag_bench("audit").out
    assert "GET /datasets" in shown
    assert "refused: NO_CREDENTIALS" in shown
    assert "rag-bench keys create" in shown

    def actions(*arguments: str) -> list[str]:
        lines = rag_bench("audit", "--json", *arguments).out.splitlines()
        return [json.loads(line)["action"] for line in lines]

    assert actions("--user", "anna") == ["GET /leaderboard", "GET /datasets"]
    assert actions("--outcome", "refused") == ["GET -", "GET /leaderboard"]
    assert actions("--limit", "1") == ["GET -"]
    assert len(actions("--last", "1h")) == 4
    newest = json.loads(rag_bench("audit", "--json", "--limit", "1").out)
    assert set(newest) == {
        *("id", "timestamp", "user_id", "key_id", "action", "outcome", "code", "status"),
        *("run_id", "trace_id", "address"),
    }
    assert datetime.fromisoformat(newest["timestamp"]) <= datetime.now(UTC) + timedelta(minutes=1)
    trace = newest["trace_id"]
    assert actions("--trace", trace) == ["GET -"]
    assert actions("--run", "none") == []
    assert "ok, refused, failed" in rag_bench("audit", "--outcome", "good").one_line()
    assert "--last" in rag_bench("audit", "--last", "week").one_line()


def test_the_development_key_is_kept_while_it_is_good(engine: Engine, tmp_path: Path) -> None:
    home = tmp_path / "home"

    def key() -> str:
        return development_key(engine, home).read_text().strip()

    first = key()
    path = development_key(engine, home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key() == first
    (stored,) = list_keys(engine)
    assert stored.scopes == tuple(map(str, SCOPES))
    assert "run:paid" not in stored.scopes
    with open_client(engine) as client:
        assert client.get("/datasets", headers=bearer(first)).status_code == 200
    for change in ("expires_at = now() + interval '1 hour'", "revoked_at = now()"):
        before = key()
        with engine.begin() as connection:
            connection.execute(text(f"update rag_bench.api_key set {change}"))
        assert key() != before
    for broken in ("", "rb_x", "\xff"):
        path.write_text(broken, encoding="latin-1")
        assert id_of(key())
    assert [one.name for one in home.iterdir()] == ["development.key"]
