"""Runs as one caller sees them: personal data is masked, but for whose it is and for who may.

Cases that a client sent are its own, and so are its labels. Those of a stored dataset or of a file
of the operator's are not, whoever started the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rag_bench.access.scopes import Principal, Scope
from rag_bench.eval_runs.reply import case_id_of, case_reply
from rag_bench.privacy.given_names import masked_json, placed
from rag_bench.store.public_names import masked, masked_given

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.reporting.compared.sides import SideCase

#: Of a run, what the client wrote, and what is said of cases.
_GIVEN, _OF_CASES = ("labels",), ("error", "notes", "comparison", "baseline")
#: Of its settings, keys of models, which are no words of anybody.
_MODELS = frozenset({"generation_model", "judge_model", "target", "retriever", "metrics"})
#: Of a case, what the service itself says.
_OWN = frozenset({"case_id", "flags", "metrics", "lang", "code", "metric", "calls", "latency_ms"})
#: A question that was cut before it was masked loses so many characters more: what is cut in two is
#: not known for what it is.
_CUT = 40


def is_own(row: Mapping[str, Any], caller: Principal) -> bool:
    """Whether a run is the caller's, or the caller may `admin`; ``row``: of `eval_run`."""
    return Scope.ADMIN in caller.scopes or row["user_id"] == caller.user_id


def sees_cases(row: Mapping[str, Any], caller: Principal) -> bool:
    """Whether the caller sees a run's cases as they are: they sent them, or may `admin`."""
    if Scope.ADMIN in caller.scopes:
        return True
    asked = row["request"]
    return is_own(row, caller) and not (asked.get("dataset") or asked.get("path_to_file"))


def run_as_seen(
    engine: Engine, caller: Principal, row: Mapping[str, Any], told: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a run as the caller sees it; ``told``: its `summary`."""
    seen, mask = dict(told), partial(masked_given, engine)
    if not is_own(row, caller):
        for name in _GIVEN:
            seen[name] = masked_json(seen[name], mask, names_too=True)
        seen["config"] = masked_json(seen["config"], mask, leave=_MODELS)
    if not sees_cases(row, caller):
        for name in _OF_CASES:
            seen[name] = masked_json(_without_ends(seen[name]), mask)
    return seen


def cases_as_seen(
    engine: Engine, caller: Principal, row: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return cases of a run as replies, as the caller sees them; ``cases``: of `eval_run_case`."""
    told = [case_reply(one) for one in cases]
    if not told or sees_cases(row, caller):
        return told
    ids = placed_cases(engine, cases)
    hidden: list[dict[str, Any]] = masked_json(told, partial(masked_given, engine), leave=_OWN)
    return [{**one, "case_id": ids.get(str(one["case_id"]), one["case_id"])} for one in hidden]


def placed_cases(engine: Engine, cases: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return by their ids what stands for cases of a run; ids without personal data stay."""
    places = {str(case_id_of(one)): one["position"] + 1 for one in cases}
    found = placed(places, partial(masked_given, engine))
    return {one: name for one, name in found.items() if name != one}


def whole_as_seen(
    engine: Engine, caller: Principal, row: Mapping[str, Any], told: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a run with its cases as the caller sees it; ``told``: as `reply` gives it."""
    if sees_cases(row, caller):
        return dict(told)
    cases = told["cases"]
    seen = run_as_seen(engine, caller, row, told)
    hidden: list[dict[str, Any]] = masked_json(cases, partial(masked_given, engine), leave=_OWN)
    places = {str(one["case_id"]): place for place, one in enumerate(cases, 1)}
    names = placed(places, partial(masked_given, engine))
    for one in hidden:
        if (name := names[str(one["case_id"])]) != str(one["case_id"]):
            one["case_id"] = name
    return {**seen, "cases": hidden}


def sides_as_seen(engine: Engine, cases: Sequence[SideCase]) -> list[SideCase]:
    """Return cases of a comparison with ids and questions masked."""
    questions = masked(engine, [one.asked.question or "" for one in cases])
    ids = masked_given(engine, [one.asked.case_id for one in cases])
    seen = []
    for one, question, name in zip(cases, questions, ids, strict=True):
        case_id = one.asked.case_id
        asked = replace(
            one.asked,
            case_id=case_id if name == case_id else f"{name}~{one.position + 1}",
            question=None if one.asked.question is None else question,
        )
        seen.append(replace(one, asked=asked))
    return seen


def _without_ends(told: Any) -> Any:
    """Return it with texts that were cut shortened to what surely is whole."""
    if isinstance(told, Mapping):
        return {name: _without_ends(inner) for name, inner in told.items()}
    if isinstance(told, list):
        return [_without_ends(inner) for inner in told]
    if isinstance(told, str) and len(told) > 2 * _CUT and told.endswith("…"):
        return told[:-_CUT].rstrip() + "…"
    return told
