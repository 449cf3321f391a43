"""``rag-bench keys`` and ``rag-bench audit``: who may ask the API, and who did what."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from rag_bench.access.scopes import ABOUT, ROLES, chosen
from rag_bench.cli.app import app, open_engine, uncut
from rag_bench.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_WIDTH = 170  # characters, where the output goes into a file
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
keys = typer.Typer(help="API keys: make, list, revoke, rotate.", no_args_is_help=True)
app.add_typer(keys, name="keys")

_ROLES = "; ".join(f"{name}: {', '.join(scopes)}" for name, scopes in ROLES.items())
_SCOPES = "; ".join(f"{scope}: {about}" for scope, about in ABOUT.items())
Expires = Annotated[
    str, typer.Option(help="Lifetime of the key: 90d, 12h, 30m, or never.", metavar="TIME")
]


def duration(text: str, flag: str) -> timedelta | None:
    """Return a time such as 90d, 12h or 30m; None of `never`.

    Raises:
        ConfigurationError: it is none of these, or none that is more than nothing.
    """
    if text == "never":
        return None
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if found is None:
        raise ConfigurationError(f"{flag}: {text!r} is no time such as 90d, 12h, 30m.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def note(connection: Connection, action: str, key_id: str | None) -> None:
    """Write into the audit what a command did, in its transaction."""
    from rag_bench.store.access.audit import Action, record

    done = Action(
        f"rag-bench {action}",
        "ok",
        secrets.token_hex(16),
        user_id=operator(),
        key_id=key_id,
        address="command line",
    )
    record(connection, done)


def operator() -> str:
    """Return who gives the commands: BENCHMARK_RUN_AUTHOR, else the system's user."""
    import getpass
    import os

    try:
        return os.environ.get("BENCHMARK_RUN_AUTHOR") or getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, for people.")],
    user: Annotated[
        str, typer.Option(help="Who acts by it; stands in the audit. Empty: you.")
    ] = "",
    role: Annotated[list[str] | None, typer.Option(help=f"A bundle of scopes. {_ROLES}.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help=f"May be repeated. {_SCOPES}.")] = None,
    expires: Expires = "90d",
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Unset: RAG_BENCH_API_REQUESTS_PER_MINUTE.")
    ] = None,
) -> None:
    """Make a key and print it, once: only its hash is stored."""
    from rag_bench.store.access.keys import create as store_key

    scopes = chosen(role or (), scope or ())
    lifetime = duration(expires, "--expires")
    if not name.strip() or not name.isprintable() or not user.isprintable():
        raise ConfigurationError("A key's name and user are one line of text.")
    with open_engine().begin() as connection:
        made = store_key(
            connection,
            name=name.strip(),
            user_id=user.strip() or operator(),
            scopes=scopes,
            lifetime=lifetime,
            requests_per_minute=requests_per_minute,
        )
        note(connection, "keys create", made.id)
    _show(made.text, f"Key {made.id} may {', '.join(scopes)}; {_until(lifetime)}.")


@keys.command("list")
def list_stored(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """List the keys, without their secrets."""
    from rag_bench.store.access.keys import list_keys

    found = list_keys(open_engine())
    if as_json:
        rows = [asdict(one) for one in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1, default=_text))
        return
    table = Table(title="API keys", title_justify="left")
    for column in ("id", "name", "user", "scopes", "state", "expires", "last used"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(
            one.id,
            one.name,
            one.user_id,
            ", ".join(one.scopes),
            f"{one.state}, rotated to {one.replaced_by}" if one.replaced_by else one.state,
            _when(one.expires_at, "never"),
            _when(one.last_used_at, "–"),
        )
    printer().print(table)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="Of `keys list`.")]) -> None:
    """End a key at once."""
    from rag_bench.store.access.keys import revoke as end_key

    with open_engine().begin() as connection:
        before = end_key(connection, key_id)
        note(connection, "keys revoke", key_id)
    typer.echo(
        f"{key_id} was revoked already" if before.state == "revoked" else f"{key_id} is revoked"
    )


@keys.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Of `keys list`.")],
    overlap: Annotated[
        str, typer.Option(help="How long the old key stays good: 24h, 30m, 0m.", metavar="TIME")
    ] = "24h",
    expires: Annotated[
        str,
        typer.Option(
            help="Lifetime of the new key: 90d, 12h, or never. Empty: that of the old.",
            metavar="TIME",
        ),
    ] = "",
) -> None:
    """Make the successor of a key and print it; for a while both are good."""
    from rag_bench.store.access.keys import rotate as replace_key

    both = duration(overlap, "--overlap")
    if both is None:
        raise ConfigurationError("--overlap: the old key has to end; say a time such as 24h.")
    lifetime = duration(expires, "--expires") if expires else None
    with open_engine().begin() as connection:
        made, old = replace_key(
            connection, key_id, overlap=both, lifetime=lifetime, forever=expires == "never"
        )
        note(connection, "keys rotate", key_id)
    until = _when(old.expires_at, "never")
    _show(made.text, f"Key {made.id} follows {key_id}, which stays good until {until}.")


@app.command()
def audit(
    user: Annotated[str, typer.Option(help="Only of this user.")] = "",
    run: Annotated[str, typer.Option(help="Only of this run.")] = "",
    trace: Annotated[str, typer.Option(help="Only of this trace id.")] = "",
    outcome: Annotated[str, typer.Option(help="Only ok, refused or failed.")] = "",
    last: Annotated[str, typer.Option(help="Only of the last 24h, 30m, 7d.", metavar="TIME")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="One object a line, for programs.")
    ] = False,
) -> None:
    """Show who did what through the API and with keys, newest first; refused requests, too."""
    from rag_bench.store.access.audit import actions

    if outcome not in ("", "ok", "refused", "failed"):
        raise ConfigurationError(f"--outcome: {outcome!r} is none of ok, refused, failed.")
    back = duration(last, "--last") if last else None
    found = actions(
        open_engine(),
        user_id=user or None,
        run_id=run or None,
        trace_id=trace or None,
        outcome=outcome or None,
        since=datetime.now(UTC) - back if back else None,
        limit=limit,
    )
    if as_json:
        for one in found:
            said = asdict(one)
            said = {"id": said.pop("id"), "timestamp": said.pop("at"), **said}
            typer.echo(json.dumps(said, ensure_ascii=False, default=_text))
        return
    table = Table(title="Audit", title_justify="left")
    for column in ("time", "user", "key", "action", "outcome", "run", "address", "trace"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(
            _when(one.at, "–"),
            one.user_id or "–",
            one.key_id or "–",
            one.action,
            f"{one.outcome}: {one.code}" if one.code else one.outcome,
            one.run_id or "–",
            one.address or "–",
            one.trace_id,
        )
    printer().print(table)


def _show(text: str, said: str) -> None:
    from rag_bench.cli.app import errors

    typer.echo(text)
    errors.print(f"{said} It is not shown again.", highlight=False, soft_wrap=True)


def _until(lifetime: timedelta | None) -> str:
    if lifetime is None:
        return "it never expires"
    return f"it expires {_when(datetime.now(UTC) + lifetime, '')}"


def _when(at: datetime | None, never: str) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else never


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def printer() -> Console:
    """Return the terminal; where there is none, one that cuts no lines."""
    return uncut(_WIDTH)
