"""The dashboard as a server of its own, on this machine only; and beside the API, behind keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware

from rag_bench.access.scopes import Scope
from rag_bench.dashboard.app import blocks, mount
from rag_bench.dashboard.context import Viewer
from rag_bench.dashboard.loopback import is_loopback
from rag_bench.dashboard.narrow import Narrow
from rag_bench.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine

    from rag_bench.settings import Settings


#: Where the dashboard is beside the API.
PATH = "/dashboard"


def local(
    engine: Engine,
    settings: Settings,
    host: str,
    *,
    unmasked: bool = False,
    dagster_url: str = "",
    warm: bool = False,
) -> FastAPI:
    """Return the application for this machine: without a key, so on a loopback address only.

    Args:
        engine: of the database, its tables up to date.
        settings: of the environment.
        host: address that it is to be bound to.
        unmasked: users' words may be seen as they are.
        dagster_url: of the Dagster UI, for links.
        warm: each tab is looked at once before anybody asks.

    Raises:
        ConfigurationError: others could reach the address.
        NotInstalledError: Gradio is not installed.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"The dashboard has no login, so it is not served on {host}. `rag-bench api --host "
            f"{host}` serves it at /dashboard to those who have a key."
        )
    # Who sits at this machine may do what the commands do.
    viewer = Viewer(scopes=frozenset({Scope.READ, Scope.LABEL}), unmasked=unmasked)

    def who(request: Any) -> Viewer:
        return viewer

    made = blocks(engine, settings, who, dagster_url, warm=warm)
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    # A name that somebody else made lead here must not be answered (DNS rebinding).
    names = ["localhost", "127.0.0.1", "[::1]", host]
    app = FastAPI(
        openapi_url=None,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=names),
            Middleware(Narrow),
        ],
    )
    return mount(app, made, "/")


def beside(
    app: FastAPI, engine: Engine, settings: Settings, dagster_url: str = "", *, warm: bool = False
) -> None:
    """Put the dashboard into the API's application, behind its keys, tokens and audit.

    Who may `read` sees it; users' words as they are only who may `admin`. ``warm``: each tab is
    looked at once before anybody asks.

    Raises:
        NotInstalledError: Gradio is not installed.
    """
    from starlette.responses import RedirectResponse

    def who(request: Any) -> Viewer:
        asked = request.scope["state"]["asked"]
        caller = asked.principal
        return Viewer(
            user_id=caller.user_id,
            scopes=caller.scopes,
            unmasked=Scope.ADMIN in caller.scopes,
            key_id=caller.key_id,
            trace_id=asked.trace_id,
        )

    def reader(request: Any) -> str | None:
        viewer = who(request)
        return viewer.user_id if Scope.READ in viewer.scopes else None

    def with_slash() -> RedirectResponse:
        return RedirectResponse(f"{PATH.strip('/')}/")

    made = blocks(engine, settings, who, dagster_url, warm=warm)
    app.add_api_route(PATH, with_slash, methods=["GET"], include_in_schema=False)
    mount(app, made, PATH, allowed=reader)
    # Innermost: the gate around it knows who asks.
    app.user_middleware.append(Middleware(Narrow, prefix=PATH))
