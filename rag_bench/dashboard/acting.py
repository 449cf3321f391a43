"""What can be done on the dashboard: named actions, each with its scopes, each in the audit.

A page holds forms with ``data-act``; the browser sends the form's fields as JSON by an event of
its own, never by an address, so that no link does anything. `rag_bench.dashboard.narrow` refuses
what another site sends. An action gets ids and names, looks them up, and may be repeated.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from rag_bench.access.scopes import Scope
from rag_bench.dashboard.labels import following, labelling
from rag_bench.dashboard.page.parts import said
from rag_bench.dashboard.questions import drafts as questions_drafts
from rag_bench.errors import RagBenchError
from rag_bench.store.access.audit import Action, Outcome, record

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_bench.dashboard.context import Context

_log = logging.getLogger("rag_bench.dashboard")
_LONGEST = 10_000  # characters of all that a form sends
Fields = Mapping[str, str]


@dataclass(frozen=True)
class Act:
    """One action.

    Attributes:
        scopes: of which one is enough.
        do: does it in the transaction that also gets the audit's row; returns what to say, or
            raises a `RagBenchError` whose words are shown.
    """

    scopes: frozenset[Scope]
    do: Callable[[Context, Connection, Fields], Markup]


#: By the name that a form has.
ACTIONS: Mapping[str, Act] = {
    "draft_add": Act(questions_drafts.SCOPES, questions_drafts.add),
    "draft_remove": Act(questions_drafts.SCOPES, questions_drafts.remove),
    "label_case": Act(labelling.SCOPES, labelling.store),
    "label_settle": Act(labelling.SCOPES, labelling.settle),
    "label_draw": Act(labelling.SCOPES, following.draw_new),
}


@dataclass(frozen=True)
class Given:
    """What the browser sends: the view that it was done on, the action, the form's fields."""

    query: str
    name: str
    fields: Fields

    @classmethod
    def parse(cls, text: str) -> Given:
        """Return what is meant; of what cannot be meant nothing is left."""
        try:
            sent = json.loads(text[:_LONGEST])
        except ValueError:
            sent = None
        found = sent if isinstance(sent, dict) else {}
        fields = found.get("fields")
        kept = fields if isinstance(fields, dict) else {}
        return cls(
            str(found.get("query") or ""),
            str(found.get("act") or ""),
            {str(name): _clean(value) for name, value in kept.items()},
        )


def act(context: Context, given: Given) -> Markup:
    """Do what is asked for, if who asks may; return what became of it."""
    words, known = context.words, ACTIONS.get(given.name)
    if known is None:
        return said(words("act_unknown"), "bad")
    if not known.scopes & context.viewer.scopes:
        _note(context, given.name, "refused", "MISSING_SCOPE")
        names = ", ".join(sorted(known.scopes))
        return said(words("act_no_scope", scopes=names), "bad")
    try:
        with context.engine.begin() as connection:
            told = known.do(context, connection, given.fields)
            record(connection, _row(context, given.name, "ok"))
        return told
    except RagBenchError as error:
        _note(context, given.name, "refused", "INVALID_INPUT")
        return said(words.sentence(str(error)), "bad")
    except Exception:
        mark = uuid.uuid4().hex[:8]
        _log.exception("An action of the dashboard failed, %s.", mark)
        return said(words("failed", mark=mark), "bad")


def _note(context: Context, name: str, outcome: Outcome, code: str) -> None:
    with context.engine.begin() as connection:
        record(connection, _row(context, name, outcome, code))


def _row(context: Context, name: str, outcome: Outcome, code: str | None = None) -> Action:
    viewer = context.viewer
    return Action(
        f"dashboard {name}",
        outcome,
        viewer.trace_id or uuid.uuid4().hex,
        user_id=viewer.user_id,
        key_id=viewer.key_id,
        code=code,
    )


def _clean(value: object) -> str:
    return "".join(letter for letter in str(value) if letter.isprintable() or letter == "\n")
