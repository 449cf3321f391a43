"""What is answered of Gradio's many addresses, and with which headers."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What the page may load: its own files only, whatever a later release of them tries.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'"
)
#: What the page asks for. Gradio has more addresses, to upload, to fetch and to call: they are not.
_FILES = ("/assets/", "/static/")
_ASKED = {
    "GET": {"/", "/theme.css", "/config", "/gradio_api/queue/data"},
    "POST": {"/gradio_api/queue/join"},
}
# The names of these files change with what is in them.
_KEPT = "private, max-age=604800"
#: Of Gradio's page: what would be fetched without the key, and pictures of the vendor.
_NOT_OURS = re.compile(
    rb'<link rel="manifest"[^>]*>|<meta\s+(?:property|name)="(?:og|twitter):[^>]*>'
)


class Narrow:
    """Middleware: only what the page asks for is answered, and it may load nothing from elsewhere.

    ``prefix``: the path that the page is mounted under; what lies outside is not looked at.
    """

    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(f"{self._prefix}/"):
            await self._app(scope, receive, send)
            return
        path, method = scope["path"].removeprefix(self._prefix), scope["method"]
        is_file = path.startswith(_FILES)
        if not (path in _ASKED.get(method, ()) or (is_file and method == "GET")):
            from starlette.responses import PlainTextResponse

            await PlainTextResponse("There is nothing here.", 404)(scope, receive, send)
            return
        if method == "POST" and from_another_site(scope):
            from starlette.responses import PlainTextResponse

            await PlainTextResponse("Another site may not ask this.", 403)(scope, receive, send)
            return
        asked = scope.get("state", {}).get("asked")
        if asked is not None and is_file:
            asked.recorded = False  # the page itself is in the audit, and every look at it
        reply = _Reply(scope, send, self._prefix, path)
        if path == "/":
            # Gradio reads `page` and others of the query as its own; the view is read by the page.
            page = {**scope, "query_string": b""}
            await self._app(page, receive, reply.page)
            return
        await self._app(scope, receive, reply.send)


def from_another_site(scope: Scope) -> bool:
    """Tell whether a browser sends a request for a page that is not ours.

    Browsers say so themselves (Fetch Metadata), or name the page's origin. What names neither is
    no browser, so nobody's key or login went along unasked.
    """
    from starlette.datastructures import Headers

    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


class _Reply:
    """The way back, with the headers; the page itself without what is not ours."""

    def __init__(self, scope: Scope, send: Send, prefix: str, path: str) -> None:
        self._scope, self._send, self._prefix, self._path = scope, send, prefix, path
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            from starlette.datastructures import MutableHeaders

            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            if self._path.startswith("/assets/") and message["status"] == 200:
                headers["Cache-Control"] = _KEPT
            # For the audit: Gradio's own routes do not say where they are mounted.
            self._scope["route"] = SimpleNamespace(path=self._prefix + self._path)
        await self._send(message)

    async def page(self, message: Message) -> None:
        from starlette.datastructures import MutableHeaders

        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body") or self._start is None:
            return
        body = _NOT_OURS.sub(b"", bytes(self._body)).replace(b"</head>", _icon() + b"</head>", 1)
        MutableHeaders(scope=self._start)["Content-Length"] = str(len(body))
        await self.send(self._start)
        await self.send({**message, "body": body})


@cache
def _icon() -> bytes:
    """The icon inside the page: a browser would look for it outside of the prefix."""
    picture = Path(__file__).parent.joinpath("page", "icon.png").read_bytes()
    return b'<link rel="icon" href="data:image/png;base64,' + base64.b64encode(picture) + b'">'
