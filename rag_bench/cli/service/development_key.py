"""The key that `rag-bench dev` makes for the one who develops on this machine."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rag_bench.access.keys import id_of, matches
from rag_bench.access.scopes import Scope

if TYPE_CHECKING:
    from sqlalchemy import Engine

FILE = "development.key"
#: All but what may cost money: a key in a file is easily passed on.
SCOPES = (Scope.READ, Scope.RUN, Scope.LABEL, Scope.ADMIN)
_LIFETIME = timedelta(days=90)
_LEFT = timedelta(days=1)


def development_key(engine: Engine, home: Path) -> Path:
    """Return the file that holds the key, for its owner only; makes key and file if needed.

    The key of the file is kept while this database knows it and it is good for another day.
    """
    from rag_bench.cli.service.access import note, operator
    from rag_bench.store.access import keys

    home.mkdir(parents=True, exist_ok=True)
    path = home / FILE
    with engine.begin() as connection:
        text = _read(path)
        found = keys.find(connection, id_of(text) or "") if text else None
        if found and matches(text, found[1]) and found[0].good_for(_LEFT):
            path.chmod(0o600)  # a copy from elsewhere may be readable for others
            return path
        made = keys.create(
            connection,
            name="development",
            user_id=operator(),
            scopes=SCOPES,
            lifetime=_LIFETIME,
        )
        note(connection, "dev", made.id)
        _write(path, made.text)
    return path


def _read(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii").strip()
    return ""


def _write(path: Path, text: str) -> None:
    staging = path.with_name(f"{path.name}.{os.getpid()}.part")
    staging.unlink(missing_ok=True)
    # Never readable for others, not even for a moment.
    with os.fdopen(os.open(staging, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text + "\n")
    staging.replace(path)
