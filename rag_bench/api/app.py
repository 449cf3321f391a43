"""The HTTP API, put together: the gate, the limits of bodies, the endpoints, errors as problems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from rag_bench.access.tokens import token_rules
from rag_bench.api import callbacks, health, hooks, labels, results
from rag_bench.api.bodies import Bodies
from rag_bench.api.callers import Callers
from rag_bench.api.eval_runs.following import Following
from rag_bench.api.eval_runs.routers import eval_routers
from rag_bench.api.gate import PUBLIC, SIGNED, Gate
from rag_bench.api.metrics import Metrics
from rag_bench.api.metrics import router as metrics_router
from rag_bench.api.pages import add_pages
from rag_bench.api.problems import Code, Located, Problem, answer, of_input, of_status, pointer
from rag_bench.api.warming import Warming, steps_of
from rag_bench.eval_runs.callbacks import deliverer
from rag_bench.eval_runs.executing import warm_up
from rag_bench.eval_runs.runner import Runner
from rag_bench.observing.spans import trace_requests
from rag_bench.provenance import version
from rag_bench.settings import Settings, get_settings
from rag_bench.store.database import quick_engine
from rag_bench.strict_json.places import InvalidInput, TooLarge

if TYPE_CHECKING:
    from sqlalchemy import Engine

_ABOUT = """\
What was measured, as JSON. Every request but `/healthz` and `/readyz` needs an API key or a token:
`Authorization: Bearer rb_…`; hooks are signed instead. Errors are `application/problem+json` with a
`code` for programs.

Within a major version fields are added, never renamed or removed.
"""


def build(
    engine: Engine,
    settings: Settings | None = None,
    daemon: health.Daemon | None = None,
    *,
    executes: bool = False,
    warms: bool = False,
) -> FastAPI:
    """Return the application over one database.

    Args:
        engine: of the database, its tables up to date.
        settings: limits and tokens; None: those of the environment.
        daemon: tells whether Dagster's daemon lives, for `/readyz`; None: not known.
        executes: whether this process executes runs and delivers callbacks; if not, another one
            must.
        warms: whether it loads what runs need when it starts, before it executes any.

    Raises:
        ConfigurationError: what the settings say of tokens or secrets is unsafe or contradicts
            itself.
    """
    settings = settings or get_settings()
    quick = quick_engine(engine)
    callers = Callers(
        quick,
        token_rules(settings),
        per_minute=settings.api_requests_per_minute,
        refused_per_minute=settings.api_refused_per_minute,
        hooks_per_minute=settings.hook_requests_per_minute,
    )

    metrics = Metrics(engine)
    following = Following(quick)
    runner, delivering = None, None
    if executes:
        delivering = deliverer(engine, settings)

        def told(run_id: str) -> None:
            following.poke()
            if delivering is not None:
                delivering.wake()

        runner = Runner(engine, settings, told=told)
    warming = None
    if runner is not None and warms:
        warming = Warming(steps_of(settings, daemon), runner.start)

    @asynccontextmanager
    async def until_end(app: FastAPI) -> AsyncIterator[None]:
        if executes:
            await run_in_threadpool(warm_up)
        works = [one for one in (delivering, runner) if one is not None]
        for one in works:
            if warming is None or one is not runner:
                one.start()
        if warming is not None:
            warming.start()
        yield
        if warming is not None:
            warming.stop()
        for one in reversed(works):
            await run_in_threadpool(one.stop)
        quick.dispose()

    app = FastAPI(
        title="rag_bench",
        version=version(),
        description=_ABOUT,
        lifespan=until_end,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the address of a redirect would be made of what the client says
        middleware=[
            Middleware(Gate, engine=engine, quick=quick, callers=callers, observe=metrics.observe),
            Middleware(
                Bodies,
                most_bytes=settings.api_max_body_bytes,
                most_depth=settings.api_max_depth,
                most_seconds=settings.api_body_seconds,
                unread=PUBLIC | SIGNED,
            ),
        ],
    )
    # In the order in which a request is looked for: runs are asked for most often.
    for made in eval_routers(engine, settings, following, runner):
        app.include_router(made)
    app.include_router(health.router(engine, daemon, warming))
    app.include_router(results.router(engine))
    app.include_router(labels.router(engine))
    app.include_router(metrics_router(metrics))
    app.include_router(callbacks.router(engine))
    app.include_router(hooks.router(engine, settings))
    add_pages(app)
    _tell_problems(app)
    trace_requests(app)
    return app


def _tell_problems(app: FastAPI) -> None:
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.exc import TimeoutError as NoConnection

    async def as_it_is(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(request.scope, error)

    async def unmeant(request: Request, error: Exception) -> Response:
        assert isinstance(error, InvalidInput | TooLarge)
        return answer(request.scope, of_input(error))

    async def of_routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            error.headers = {"Allow": _allowed(app, request)}
        if error.status_code == 400 and error.detail:  # a form that cannot be read, and why
            return answer(request.scope, Problem(Code.INVALID_INPUT, error.detail))
        return answer(request.scope, of_status(error.status_code, error.headers))

    async def impossible(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [_located(one["loc"], one["msg"]) for one in error.errors()]
        found = Problem(Code.INVALID_INPUT, "The request has impossible values.", errors=errors)
        return answer(request.scope, found)

    async def unreachable(request: Request, error: Exception) -> Response:
        found = Problem(Code.UNAVAILABLE, "The database cannot be reached.")
        return answer(request.scope, found)

    app.add_exception_handler(Problem, as_it_is)
    app.add_exception_handler(InvalidInput, unmeant)
    app.add_exception_handler(TooLarge, unmeant)
    app.add_exception_handler(HTTPException, of_routing)
    app.add_exception_handler(RequestValidationError, impossible)
    app.add_exception_handler(OperationalError, unreachable)
    app.add_exception_handler(NoConnection, unreachable)


def _allowed(app: FastAPI, request: Request) -> str:
    """Return all methods of a path; routing itself knows those of one endpoint there."""
    path = getattr(request.scope.get("route"), "path", "")
    methods = {name.upper() for name in app.openapi()["paths"].get(path, {"get": None})}
    return ", ".join(sorted(methods))


def _located(where: tuple[int | str, ...], detail: str) -> Located:
    if where and where[0] == "body":
        return Located(detail, pointer=pointer(where[1:]))
    return Located(detail, parameter=str(where[1]) if len(where) > 1 else None)
