"""A run followed over one connection: server-sent events, which a client can take up again."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from rag_bench.access.scopes import Scope
from rag_bench.api.allowed import needs
from rag_bench.api.eval_runs.finding import RunId, found
from rag_bench.api.eval_runs.following import Event, Following
from rag_bench.api.problems import Code, Located, Problem

if TYPE_CHECKING:
    from sqlalchemy import Engine

MEDIA_TYPE = "text/event-stream"
#: Seconds without an event after which a comment is sent, so that no proxy takes it for dead.
HEARTBEAT = 15.0
#: Milliseconds after which a client that lost the connection comes back.
_RETRY = 2000
_ID = re.compile(r"[0-9]{1,18}")


def router(engine: Engine, following: Following) -> APIRouter:
    """Return the endpoint by which a run is followed."""
    made = APIRouter(prefix="/eval/runs", tags=["runs"], dependencies=[needs(Scope.READ)])

    @made.get(
        "/{run_id}/events",
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
                "description": "Events until the run's last; comments in between are heartbeats.",
            }
        },
        summary="Follow a run",
    )
    async def events(
        request: Request,
        run_id: RunId,
        last_event_id: Annotated[
            str | None, Header(description="The last `id` that was seen; those behind it follow.")
        ] = None,
    ) -> StreamingResponse:
        """Each event has an `id`, its kind as `event`, and `data` in JSON."""
        after = _after(last_event_id)

        def look() -> None:
            with engine.connect() as connection:
                found(request, connection, run_id)

        await run_in_threadpool(look)
        return StreamingResponse(
            _written(following.follow(run_id, after, heartbeat=HEARTBEAT)),
            media_type=MEDIA_TYPE,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return made


def _after(last_event_id: str | None) -> int:
    if not last_event_id:
        return 0
    if not _ID.fullmatch(last_event_id):
        raise Problem(
            Code.INVALID_INPUT,
            "The request has impossible values.",
            errors=[
                Located(
                    "This is no id of an event: send the last `id:` that came, or none.",
                    parameter="Last-Event-ID",
                )
            ],
        )
    return int(last_event_id)


async def _written(news: AsyncIterator[Sequence[Event]]) -> AsyncIterator[str]:
    yield f"retry: {_RETRY}\n\n"
    async for events in news:
        yield "".join(map(_event, events)) or ": still here\n\n"


def _event(event: Event) -> str:
    data: dict[str, Any] = {
        "run_id": event["run_id"],
        "kind": event["kind"],
        "at": event["at"].isoformat(),
        **event["data"],
    }
    return f"id: {event['id']}\nevent: {event['kind']}\ndata: {json.dumps(data)}\n\n"
