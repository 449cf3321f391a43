"""``rag-bench``: thin commands over the same assets that the UI materializes."""

from __future__ import annotations

import errno
import sys
import warnings

from rag_bench.errors import RagBenchError
from rag_bench.processes import look_for_garbage_rarely

# The disk is full, may not be written, or is broken, or a path leads nowhere: no fault of ours.
_OF_THE_DISK = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
)


def main() -> None:
    """Run the command line; an error meant for people, and a disk or a database that fails, is one
    message and exit code 1.
    """
    warnings.filterwarnings("ignore", module="dagster.*")
    look_for_garbage_rarely()
    from rag_bench.cli.app import app

    try:
        app(standalone_mode=True)
    except Exception as error:
        said = _in_words(error)
        if said is None:
            raise
        print(f"rag-bench: {said}", file=sys.stderr)
        raise SystemExit(1) from None


def _in_words(error: Exception) -> str | None:
    """Return what a person is told in place of a traceback; None: it is a fault of ours."""
    if isinstance(error, RagBenchError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}."
    # Imported already, if it comes from there.
    database = sys.modules.get("sqlalchemy.exc")
    if database is not None and isinstance(error, database.OperationalError):
        return (
            "The database cannot be reached, or stopped at work: "
            f"{str(error.orig).strip().splitlines()[0]}. `rag-bench db start` starts the embedded "
            "one. Then run the command again; what was stored is kept."
        )
    return None
