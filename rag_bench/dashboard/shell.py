"""What stands above every tab: the name, the language, the tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rag_bench.dashboard.address import LANGUAGES
from rag_bench.dashboard.page.parts import join, link

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context


def header(context: Context) -> Markup:
    """Return the header of a view."""
    from rag_bench.dashboard.tabs import TABS  # they stand below this, and say so by importing it

    view, words = context.view, context.words
    tabs = join(
        Markup('<a href="{}" data-go{}>{}</a>').format(
            view.link(tab),
            Markup(' aria-current="page"') if tab == view.tab else "",
            words(f"tab_{tab}"),
        )
        for tab in TABS
    )
    languages = join(
        Markup('<a href="{}" data-go lang="{}" class="rb-keep">{}</a>').format(
            view.link(lang=lang), lang, words(f"language_{lang}")
        )
        for lang in LANGUAGES
        if lang != view.lang
    )
    return Markup(
        '<div class="rb-loading" role="status"><span>{loading}</span></div>'
        '<div class="rb-top"><h1>rag_bench<span class="rb-heard"> · {here}</span></h1>'
        '<span>{about}</span><span class="rb-lang">{languages}'
        '</span></div><nav class="rb-tabs" aria-label="{tabs_label}">{tabs}</nav>'
        '<span id="rb-header-data" data-title="{title}" data-lang="{lang}" hidden></span>'
    ).format(
        loading=words("loading"),
        here=words(f"tab_{view.tab}"),
        about=words("about"),
        languages=languages,
        tabs_label=words("tabs"),
        tabs=tabs,
        title=f"{words(f'tab_{view.tab}')} · rag_bench",
        lang=view.lang,
    )


def without_results(context: Context) -> Markup:
    """Return what is shown where no model was measured: what to do about it."""
    from rag_bench.dashboard.page.parts import said
    from rag_bench.store.evaluations.listing import listed

    words = context.words
    _, n_failed = listed(context.engine, status="failed", limit=1)
    if n_failed:
        causes = link(words("why_failed"), context.view.link("runs", status="failed"))
        return said(join([words("only_failed", n=n_failed), " ", causes]), "warn")
    lines = [words("nothing_measured"), Markup("<code>rag-bench demo</code>"), words("or_own_dump")]
    lines.append(Markup("<code>rag-bench load-dump FILE &amp;&amp; rag-bench benchmark</code>"))
    text = join(Markup("<p>{}</p>").format(line) for line in lines)
    link_to_runs = link(words("tab_runs"), context.view.link("runs"))
    return said(text + Markup("<p>{}</p>").format(link_to_runs), "empty")
