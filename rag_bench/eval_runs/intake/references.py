"""What a request refers to outside of itself: the knowledge base, another run, an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, select

from rag_bench.access.guard import GuardError, check_form
from rag_bench.eval_runs.callbacks import refusal
from rag_bench.eval_runs.intake.request import EvalRequest
from rag_bench.settings import Settings
from rag_bench.store.eval_runs.tables import eval_run
from rag_bench.store.tables import current_snapshot
from rag_bench.strict_json.places import Place, pointer

if TYPE_CHECKING:
    from sqlalchemy import Connection

NO_DUMP = (
    "No knowledge base is loaded, so nothing can be retrieved: load a dump (rag-bench load-dump), "
    "or give every case an answer."
)


def current_dump(connection: Connection) -> str | None:
    """Return the hash of the current snapshot; None: nothing is loaded."""
    return connection.execute(select(current_snapshot.c.dump_sha256)).scalar()


def check_baseline(connection: Connection, request: EvalRequest, errors: list[Place]) -> None:
    """Tell of a baseline that there is not."""
    if request.baseline is None:
        return
    there = select(exists().where(eval_run.c.id == request.baseline))
    if not connection.execute(there).scalar_one():
        detail = (
            f"There is no run {request.baseline!r} to compare with. Write its whole run_id, as "
            "GET /eval/runs or rag-bench eval list shows it."
        )
        errors.append(Place(detail, pointer=pointer(["baseline"])))


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
