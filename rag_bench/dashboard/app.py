"""The dashboard's Gradio application: one page whose whole content follows from its address."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.access.scopes import Scope
from rag_bench.dashboard.acting import Given, act
from rag_bench.dashboard.address import View
from rag_bench.dashboard.context import Context, Kept, Viewer
from rag_bench.dashboard.page.parts import Page, join, said
from rag_bench.dashboard.shell import header
from rag_bench.dashboard.tabs import TABS
from rag_bench.dashboard.texts import unmasked
from rag_bench.dashboard.words import Words
from rag_bench.errors import NotInstalledError

if TYPE_CHECKING:
    import gradio as gr
    from fastapi import FastAPI
    from sqlalchemy import Engine

    from rag_bench.settings import Settings

_log = logging.getLogger("rag_bench.dashboard")
_PAGE = Path(__file__).parent / "page"
# Gradio's own room on both sides is a third of a phone, and a column of a table elsewhere: page.css
# says how wide a page is. Gradio puts its container's name before what stands there, so what lies
# around it is reached from here only.
_NARROW = "<style>.main.fillable { padding: 8px 0 !important; max-width: none !important; }</style>"
#: Figures that a page has room for; the HTML around them makes one more.
FIGURES = 7
# A look is a few queries: eight at once keep two cores and the pool of connections busy, and
# nobody waits for the slowest of them alone. More than 100 waiting are refused.
_AT_ONCE = 8
_WAITING = 100
# The address is handed to the server by this element's event, and the answer fills the page.
_BUS = "window.rbShow = query => { props.value = query; trigger('submit'); };"
# What is done goes by an event of its own.
_ACTS = "window.rbAct = sent => { props.value = sent; trigger('submit'); };"
Who = Callable[[Any], Viewer]
"""Tells from a request who looks."""


def gradio() -> Any:
    """Return Gradio, imported with everything off that would tell somebody of it.

    Raises:
        NotInstalledError: the extra is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio
    except ImportError:
        raise NotInstalledError(
            "The dashboard needs Gradio: pip install 'rag-bench[dashboard]'."
        ) from None
    return gradio


def blocks(
    engine: Engine, settings: Settings, who: Who, dagster_url: str = "", *, warm: bool = False
) -> gr.Blocks:
    """Return the page.

    Args:
        engine: of the database, its tables up to date.
        settings: of the environment.
        who: is asked at every look, as each event is an address of its own.
        dagster_url: of the Dagster UI, for links.
        warm: each tab is looked at once before anybody asks, so that nobody waits for libraries to
            be loaded and boards to be made.
    """
    gr = gradio()
    kept = Kept()
    if warm:
        for tab in TABS:
            content(Context(engine, settings, View(tab), Words("en"), Viewer(), kept))

    def look(query: str, request: Any) -> list[Any]:
        view = View.parse(query or "")
        viewer = who(request.request)
        context = Context(engine, settings, view, Words(view.lang), viewer, kept, dagster_url)
        if unmasked(context):
            _note_unmasking(engine, context)
        return look_at(context)

    def do(sent: str, request: Any) -> list[Any]:
        given = Given.parse(sent or "")
        view = View.parse(given.query)
        viewer = who(request.request)
        context = Context(engine, settings, view, Words(view.lang), viewer, kept, dagster_url)
        if unmasked(context):
            _note_unmasking(engine, context)
        return look_at(context, act(context, given))

    # Gradio reads what a handler's parameters are from their annotations.
    look.__annotations__ = {"query": str, "request": gr.Request}
    do.__annotations__ = {"sent": str, "request": gr.Request}
    with gr.Blocks(title="rag_bench", analytics_enabled=False) as made:
        bus = gr.HTML("", elem_id="rb-bus", visible="hidden", js_on_load=_BUS)
        acts = gr.HTML("", elem_id="rb-acts", visible="hidden", js_on_load=_ACTS)
        top = gr.HTML(elem_classes="rb-header", padding=False)
        slots: list[Any] = []
        for n in range(FIGURES):
            slots.append(gr.HTML(elem_classes="rb-page", padding=False))
            slots.append(
                gr.Plot(show_label=False, visible=False, elem_id=f"rb-plot-{n}", container=False)
            )
        slots.append(gr.HTML(elem_classes="rb-page", padding=False))
        shared: dict[str, Any] = {
            "fn": look,
            "inputs": [bus],
            "outputs": [top, *slots],
            "show_progress": "hidden",
            "concurrency_limit": _AT_ONCE,
            "api_visibility": "private",
        }
        first = made.load(js="() => [window.location.search]", **shared)
        again = bus.submit(trigger_mode="always_last", concurrency_id=None, **shared)
        done = acts.submit(trigger_mode="multiple", **{**shared, "fn": do, "inputs": [acts]})
        for event in (first, again, done):
            event.then(None, js="() => { window.rbShown(); }", show_progress="hidden")
    made.queue(default_concurrency_limit=_AT_ONCE, max_size=_WAITING)
    return made


def mount(
    app: FastAPI,
    made: gr.Blocks,
    path: str,
    allowed: Callable[[Any], str | None] | None = None,
) -> FastAPI:
    """Put the page into an application, under a path.

    ``allowed``: says of each request whose it is; None refuses it.
    """
    gr = gradio()
    return gr.mount_gradio_app(
        app,
        made,
        path=path,
        auth_dependency=allowed,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Default(
            font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css=(_PAGE / "page.css").read_text(encoding="utf-8"),
        head=f"<script>{(_PAGE / 'page.js').read_text(encoding='utf-8')}</script>{_NARROW}"
        '<meta name="referrer" content="no-referrer">',
        allowed_paths=[],
    )


def content(context: Context) -> Page:
    """Return the page of a view; what fails is said in words, its cause only logged."""
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.exc import TimeoutError as NoConnection

    words = context.words
    if Scope.READ not in context.viewer.scopes:
        return Page([said(words("no_scope"), "bad")])
    page = Page()
    try:
        if context.settings_lost:
            page.add(said(words("settings_lost"), "warn"))
        page.add(*TABS[context.view.tab](context).parts)
    except (OperationalError, NoConnection):
        _log.exception("The dashboard cannot reach the database.")
        return Page([said(words("no_database"), "bad")])
    except Exception:
        mark = uuid.uuid4().hex[:8]
        _log.exception("The dashboard failed, %s.", mark)
        return Page([said(words("failed", mark=mark), "bad")])
    return page


def _note_unmasking(engine: Engine, context: Context) -> None:
    """Write into the audit who sees users' words as they are; without the row nobody does."""
    from rag_bench.store.access.audit import Action, record

    viewer = context.viewer
    action = Action(
        f"dashboard unmasked {context.view.tab}",
        "ok",
        viewer.trace_id or uuid.uuid4().hex,
        user_id=viewer.user_id,
        key_id=viewer.key_id,
    )
    with engine.begin() as connection:
        record(connection, action)


def look_at(context: Context, told: Markup | None = None) -> list[Any]:
    """Return the values of the header and of all slots: HTML, figure, HTML, …

    ``told``: what became of what was done here.
    """
    gr = gradio()
    texts: list[list[Markup]] = [[] if told is None else [told]]
    figures: list[Any] = []
    for part in content(context).parts:
        if isinstance(part, str):
            texts[-1].append(Markup(part))
        else:
            figures.append(part)
            texts.append([])
    if len(figures) > FIGURES:
        raise AssertionError(f"a page with {len(figures)} figures has room for {FIGURES}")
    values: list[Any] = [str(header(context))]
    for n in range(FIGURES):
        html = join(texts[n]) if n < len(texts) else Markup("")
        values.append(gr.update(value=str(html), visible=bool(html)))
        figure = figures[n] if n < len(figures) else None
        values.append(gr.update(value=figure, visible=figure is not None))
    html = join(texts[FIGURES]) if len(texts) > FIGURES else Markup("")
    return [*values, gr.update(value=str(html), visible=bool(html))]
