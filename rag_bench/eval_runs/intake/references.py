"""What a request refers to outside of itself: the knowledge base, another run, an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from rag_bench.access.guard import GuardError, check_form
from rag_bench.errors import RagBenchError
from rag_bench.eval_runs.callbacks import refusal
from rag_bench.eval_runs.intake.request import EvalRequest
from rag_bench.settings import Settings
from rag_bench.store.eval_runs.comparing import LEAST_PREFIX, find_run
from rag_bench.store.tables import current_snapshot
from rag_bench.strict_json.places import Place, pointer

if TYPE_CHECKING:
    from sqlalchemy import Connection

NO_DUMP = (
    "No knowledge base is loaded, so nothing can be retrieved: load a dump (rag-bench load-dump), "
    "or give every case an answer."
)

_CURRENT_DUMP = select(current_snapshot.c.dump_sha256)


def current_dump(connection: Connection) -> str | None:
    """Return the hash of the current snapshot; None: nothing is loaded."""
    return connection.execute(_CURRENT_DUMP).scalar()


def named_baseline(connection: Connection, request: EvalRequest, errors: list[Place]) -> str | None:
    """Return the whole id of the run that a request is compared with, by its id or the beginning of
    it; tell of one that there is not, and of several that begin so.
    """
    if request.baseline is None:
        return None
    detail = (
        f"There is no run {request.baseline!r} to compare with. Write its run_id, or the first "
        f"characters of it, at least {LEAST_PREFIX}, as GET /eval/runs or rag-bench eval list "
        "shows it."
    )
    try:
        run = find_run(connection, request.baseline)
    except RagBenchError as error:
        run, detail = None, str(error)
    if run is None:
        errors.append(Place(detail, pointer=pointer(["baseline"])))
        return None
    return run.id


def check_callback(
    request: EvalRequest, settings: Settings, errors: list[Place], *, asks: bool
) -> None:
    """Tell of a callback's address that the service may not call.

    ``asks``: its name is looked up, which may take seconds; else only how it is written counts.
    """
    if request.callback_url is None:
        return
    why = None
    try:
        check_form(request.callback_url)
    except GuardError as error:
        why = str(error)
    if why is None and asks:
        why = refusal(settings, request.callback_url)
    if why is not None:
        errors.append(Place(why, pointer=pointer(["callback_url"])))
