"""The dashboard as a server of its own, on this machine only, for whoever sits at it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.app import POLICY, blocks, mount
from rag_bench.dashboard.context import Viewer
from rag_bench.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rag_bench.settings import Settings


class LocalFilesOnly:
    """Middleware: the page may load nothing from elsewhere, and no other page may frame it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with the headers added."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                from starlette.datastructures import MutableHeaders

                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        await self._app(scope, receive, with_headers)


def local(
    engine: Engine,
    settings: Settings,
    host: str,
    *,
    unmasked: bool = False,
    dagster_url: str = "",
) -> FastAPI:
    """Return the application for this machine: without a key, so on a loopback address only.

    Args:
        engine: of the database, its tables up to date.
        settings: of the environment.
        host: address that it is to be bound to.
        unmasked: users' words may be seen as they are.
        dagster_url: of the Dagster UI, for links.

    Raises:
        ConfigurationError: others could reach the address.
        NotInstalledError: Gradio is not installed.
    """
    if not _is_loopback(host):
        raise ConfigurationError(
            f"The dashboard has no login, so it is not served on {host}. `rag-bench api --host "
            f"{host}` serves it at /dashboard to those who have a key."
        )
    viewer = Viewer(unmasked=unmasked)

    def who(request: Any) -> Viewer:
        return viewer

    made = blocks(engine, settings, who, dagster_url)
    from fastapi import FastAPI
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    # A name that somebody else made lead here must not be answered (DNS rebinding).
    names = ["localhost", "127.0.0.1", "[::1]", host]
    app = FastAPI(
        openapi_url=None,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=names),
            Middleware(LocalFilesOnly),
        ],
    )
    return mount(app, made, "/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
