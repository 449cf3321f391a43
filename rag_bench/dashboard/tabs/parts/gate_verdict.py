"""May it be released? What the gate says, of a release or of two sides, as stored. Asks nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page.parts import heading, join, mark, metric_help, paragraph, said
from rag_bench.dashboard.page.tables import Cell, Col, number, number_cell, p_cell, table
from rag_bench.dashboard.tabs.common import SHORT, model_name, moment
from rag_bench.dashboard.texts import names_shown
from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.reporting.compared.sides import bare_name

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words
    from rag_bench.reporting.compared.shapes import Compared

_KINDS = {"passed": "note", "failed": "bad", "held": "warn"}
_TONES = {"passed": "good", "failed": "bad", "held": "weak"}
_SHORT = {
    "got worse": "short_got_worse",
    "no worse than the margin": "short_no_worse",
    "cannot tell": "short_cannot_tell",
}
# Of more evaluations a page would wait for the gate; the job says it.
_MOST_HELD = 40
_HASH = 64
_FOLDED = Markup("<details><summary>{}</summary>{}</details>")
_CODE = Markup("<code>{}</code>")
PIN = 'rag-bench baseline pin newest --why "…"'


def of_release(context: Context) -> list[object]:
    """Return what is said of the settings that are shown, held against the pinned baseline.

    The newest verdict that was stored of them, if the baseline is still the one it was held
    against; else what is stored says so far, with nothing asked again.
    """
    from rag_bench.reporting.compared.pinned import as_json
    from rag_bench.store.releases.baselines import current_baseline
    from rag_bench.store.releases.verdicts import newest_verdict

    words, settings = context.words, context.settings_hash
    parts: list[object] = [heading(words("may_i_release"))]
    pinned = current_baseline(context.engine)
    if pinned is None:
        return [*parts, said(join([words("gate_no_baseline"), " ", _CODE.format(PIN)]), "empty")]
    assert settings is not None, "a board is shown"
    stored = newest_verdict(context.engine, settings)
    if stored is not None and stored.said.get("baseline") == as_json(pinned):
        told = words("gate_stored", at=moment(stored.created_at))
        found: Mapping[str, Any] = stored.said
    else:
        told = words("gate_by_stored")
        try:
            live = context.keep(_decided, settings, pinned.id, *_rules_file(context))
        except RagBenchError as error:
            return [*parts, said(words.sentence(str(error)), "warn"), *_rules(context)]
        if live is None:
            return [*parts, said(words("gate_large"), "empty"), *_rules(context)]
        found = live
    [why] = names_shown(context, [pinned.why])
    against = words(
        "gate_against",
        side=_short(pinned.side or ""),
        at=moment(pinned.created_at),
        who=pinned.who or words("nobody_said"),
        why=why,
    )
    parts += [paragraph(told), paragraph(against), *_rules(context)]
    for n, one in enumerate(found["models"]):
        answer, *more = _verdict(words, one, f"gate-{n + 1}", one["model"])
        more += [paragraph(line) for line in _again(words, one)]
        more += _reproduction(words, one)
        # Of several models the answers stand below each other; what they rest on is a click away.
        folded = len(found["models"]) > 1 and more
        parts += (
            [answer, _FOLDED.format(words("gate_by_metric"), join(more))]
            if folded
            else [answer, *more]
        )
    return parts


def _short(side: str) -> str:
    """Return what is pinned, with a hash as long as it is shown elsewhere."""
    kind, colon, name = side.partition(":")
    return f"{kind}{colon}{name[:SHORT]}" if len(name) == _HASH else side


def of_sides(context: Context, found: Compared) -> list[object]:
    """Return what `rag-bench gate A B` says of two sides by the rules of the environment."""
    from rag_bench.reporting.compared.gate import gated
    from rag_bench.reporting.compared.policy import rules

    words = context.words
    parts: list[object] = [heading(words("may_i_release"))]
    try:
        policy = rules(context.settings)
    except ConfigurationError as error:
        return [*parts, said(words("gate_bad_rules", error=str(error)), "warn")]
    one = gated(context.engine, found.a, found.b, policy).as_json()
    parts += [*_rules(context), *_verdict(words, one, "gate", "")]
    if context.settings.gate is None:
        return parts  # the command reads its rules from a file
    command = f"rag-bench gate {found.a.id} {found.b.id} --policy {context.settings.gate.name}"
    return [*parts, paragraph(join([words("gate_command"), " ", _CODE.format(command)]))]


def _decided(
    engine: Engine, settings: str, _: int, rules: str, __: float
) -> Mapping[str, Any] | None:
    """Return what is stored says of a release, or None: it would take a page too long.

    The baseline's number and the rules' time say when it is to be said anew.
    """
    from rag_bench.releases.deciding import decide_by_stored
    from rag_bench.reporting.compared.policy import DEFAULT_RULES, read_policy
    from rag_bench.store.evaluations import joined

    if sum(one.generation_model is not None for one in joined(engine, settings)) > _MOST_HELD:
        return None
    policy = read_policy(Path(rules)) if rules else DEFAULT_RULES
    found = decide_by_stored(engine, settings, policy)
    return None if found is None else found.as_json()


def _rules_file(context: Context) -> tuple[str, float]:
    path = context.settings.gate
    if path is None:
        return "", 0.0
    return str(path), path.stat().st_mtime if path.is_file() else 0.0


def _rules(context: Context) -> list[object]:
    """Return by whose rules it is said, where nobody wrote any."""
    words = context.words
    if context.settings.gate is not None:
        return [paragraph(words("gate_rules", file=context.settings.gate.name))]
    return [paragraph(words("gate_no_rules"))]


def _verdict(words: Words, one: Mapping[str, Any], name: str, of: str) -> list[object]:
    outcome = one["outcome"]
    told: list[object] = [model_name(of, words), ": "] if of else []
    told += [words(f"gate_{outcome}"), " ", words(f"gate_todo_{outcome}")]
    parts: list[object] = [said(join(told), _KINDS[outcome])]
    if not one["metrics"] and not one["missing"]:
        return parts
    rows = [_missing(words, metric, of) for metric, of in one["missing"].items()]
    rows += [_row(words, metric) for metric in one["metrics"]]
    columns: list[Col | str] = [words("measure"), words("gate_says"), words("verdict")]
    columns.append(words("gate_class"))
    columns += [Col(words(t), numeric=True) for t in ("released", "release")]
    columns += [Col(words(t), numeric=True) for t in ("difference", "interval", "margin")]
    columns += [Col(words(t), numeric=True) for t in ("p_holm", "pairs")]
    columns.append(words("why"))
    return [*parts, table(name, columns, rows, words, caption=words("gate_caption", of=of).strip())]


def _row(words: Words, one: Mapping[str, Any]) -> list[object]:
    name: list[object] = [one["metric"], metric_help(bare_name(one["metric"]), words)]
    if one.get("across_bridge"):
        name += [" ", mark(words("across_bridge"), crossed(words, one["across_bridge"]))]
    # Verdicts of earlier versions do not say it.
    if unchecked := one.get("never_checked_against_people"):
        name += [" ", unchecked_mark(words, unchecked)]
    interval = ""
    if one["ci_low"] is not None:
        interval = f"{number(one['ci_low'])} … {number(one['ci_high'])}"
    verdict = words(_SHORT[one["verdict"]])
    if one["better"]:
        verdict += f", {words('verdict_better')}"
    why = words.sentence(one["reason"] or "")
    return [
        Cell(join(name), one["metric"]),
        Cell(words(f"gate_one_{one['outcome']}"), one["outcome"], tone=_TONES[one["outcome"]]),
        Cell(verdict, one["verdict"]),
        words(f"gate_{one['class']}"),
        number_cell(one["a"]),
        number_cell(one["b"]),
        number_cell(one["difference"]),
        Cell(interval, numeric=True),
        number_cell(one["margin"]),
        p_cell(one["p_adjusted"]),
        Cell(f"{one['n_pairs']}/{one['n_expected']}", one["n_pairs"], True),
        Cell(Markup('<div class="rb-long">{}</div>').format(why), why),
    ]


def _missing(words: Words, name: str, of: str) -> list[object]:
    outcome = "passed" if of == "advisory" else "held"
    why = words("gate_missing_advisory" if of == "advisory" else "gate_missing")
    says = Cell(words(f"gate_one_{outcome}"), outcome, tone=_TONES[outcome])
    return [name, says, "", words(f"gate_{of}"), *[""] * 7, why]


def unchecked_mark(words: Words, judges: Sequence[str]) -> Markup:
    """Return the mark of a metric whose judges were never checked against people by it."""
    title = words("unchecked_by_metric", judges=", ".join(judges))
    return mark(words("unchecked"), title, "rb-unchecked")


def crossed(words: Words, by: Mapping[str, Any]) -> str:
    """Return which side came over a bridge, and what that adds to its error."""
    return words(
        "across_bridge_help",
        side=words(f"side_{by['side']}"),
        own=number(by["own_mean"]),
        old=by["from"],
        new=by["to"],
        error=number(by["link_error"]),
    )


def _again(words: Words, one: Mapping[str, Any]) -> Sequence[object]:
    """Return what asking again cost, and what was said before it."""
    again, lines = one["again"], []
    if one["first"] != one["outcome"]:
        lines.append(words("gate_before", first=words(f"gate_one_{one['first']}")))
    if (price := again["price"]) is not None:
        key = "gate_was_asked" if again["asked"] else "gate_would_be_asked"
        usd = _usd(words, price["cost_usd"])
        lines.append(words(key, n=again["cases"], calls=number(price["calls"]), usd=usd))
        # Verdicts of earlier versions do not say it.
        if "most_calls" in price:
            usd = _usd(words, price["most_usd"])
            lines.append(words("gate_at_most", calls=number(price["most_calls"]), usd=usd))
    # Nor do they say whether the old side still gives its stored scores.
    if (whole := again.get("old_side")) is not None:
        key = "gate_old_side_asked" if whole["asked"] else "gate_old_side_would_be"
        price = whole["price"]
        usd, most = _usd(words, price["cost_usd"]), _usd(words, price["most_usd"])
        calls, at_most = number(price["calls"]), number(price["most_calls"])
        lines.append(
            words(key, n=whole["cases"], calls=calls, usd=usd, at_most=at_most, most_usd=most)
        )
        if whole["why_not"]:
            lines.append(words.sentence(whole["why_not"]))
    if again["why_not"]:
        lines.append(words.sentence(again["why_not"]))
    elif again["price"] is None and one["outcome"] != "passed":
        lines.append(words("gate_job"))
    return lines


def _reproduction(words: Words, one: Mapping[str, Any]) -> list[object]:
    """Return whether both sides still give their stored scores, where there is something to say."""
    found = one["again"].get("reproduction")
    if not found or not found["in_words"]:
        return []
    told = " ".join(words.sentence(line) for line in found["in_words"])
    return [said(told, "warn" if found["world_changed"] else "note")]


def _usd(words: Words, cost: float | None) -> str:
    return words("gate_price_unknown") if cost is None else f"{number(cost, 4)} USD"
