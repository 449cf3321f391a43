"""``rag-bench eval run``: send cases, follow the run, compare it, end with a code for CI."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_bench.cli.app import errors
from rag_bench.cli.eval_runs.client import Event, Service, ServiceError, service
from rag_bench.cli.eval_runs.group import (
    COULD_NOT_RUN,
    EXIT_CODES,
    INCONCLUSIVE,
    PASSED,
    Coded,
    ending,
    eval_app,
    exit_code_of,
)
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.paired.words import MARGIN

#: How a label is named in a query.
_LABELS = "labels."

Url = Annotated[str | None, typer.Option("--url", help="Of the service; unset: RAG_BENCH_API_URL.")]
Key = Annotated[
    str | None, typer.Option("--key", help="An API key or token; unset: RAG_BENCH_API_KEY.")
]
AsJson = Annotated[bool, typer.Option("--json", help="The result, for programs.")]
Deciding = Annotated[
    list[str] | None,
    typer.Option("--gate-metric", help="Only these decide (several times); unset: all."),
]
Margin = Annotated[
    float, typer.Option(help="What may be lost, as a part of each metric's scale.", min=0, max=1)
]


@eval_app.command("run", cls=Coded, epilog=EXIT_CODES)
def run(
    file: Annotated[
        Path,
        typer.Argument(
            help="Cases as JSONL, or a whole request as JSON.", exists=True, dir_okay=False
        ),
    ],
    baseline: Annotated[
        str | None, typer.Option(help="Id of an earlier run: compare with it.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="What answers.")] = None,
    judge: Annotated[str | None, typer.Option("--judge", help="What judges.")] = None,
    eval_type: Annotated[
        list[str] | None, typer.Option(help="ragas, rubric, retrieval (several times).")
    ] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="Further metrics (several times).")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="name:value, to find the run by (several times).")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="Any other field of the request, as top_k=5 (several times)."),
    ] = None,
    gate_metric: Deciding = None,
    margin: Margin = MARGIN,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Evaluate a file of cases by the service, and hold the result against an earlier run."""
    with ending(), service(url, key) as api:
        asked = [
            *((name, value) for name, value in _named(baseline, model, judge) if value is not None),
            *(("eval_type", value) for value in eval_type or []),
            *(("metrics", value) for value in metrics or []),
            *(_label(one) for one in label or []),
            *(_field(one) for one in field or []),
        ]
        started = _start(api, file, asked)
        run_id = str(started["run_id"])
        errors.print(f"run {run_id}", highlight=False)
        code = _finish(api, run_id, gate_metric, margin, as_json)
    raise typer.Exit(code)


@eval_app.command("follow", cls=Coded, epilog=EXIT_CODES)
def follow(
    run_id: Annotated[str, typer.Argument(help="As it was printed.")],
    gate_metric: Deciding = None,
    margin: Margin = MARGIN,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Follow a run that was started before, and end as ``run`` would have."""
    with ending(), service(url, key) as api:
        code = _finish(api, run_id, gate_metric, margin, as_json)
    raise typer.Exit(code)


def _named(baseline: str | None, model: str | None, judge: str | None) -> list[Any]:
    return [("baseline", baseline), ("llm_model", model), ("judge_model", judge)]


def _label(one: str) -> tuple[str, str]:
    name, separator, value = one.partition(":")
    if not separator or not name:
        raise RagBenchError(f"--label {one!r} is not of the form name:value")
    return f"{_LABELS}{name}", value


def _field(one: str) -> tuple[str, str]:
    name, separator, value = one.partition("=")
    if not separator or not name:
        raise RagBenchError(f"--field {one!r} is not of the form name=value")
    return name, value


def _start(api: Service, file: Path, asked: Sequence[tuple[str, str]]) -> dict[str, Any]:
    content = file.read_bytes()
    headers = {
        "Prefer": "respond-async",
        # Sent again after a connection that broke, it starts nothing twice.
        "Idempotency-Key": uuid.uuid4().hex,
    }
    if file.suffix.lower() == ".json":
        body = _body(file, content, asked)
        headers["Content-Type"] = "application/json"
        return api.json("POST", "/eval/run", content=body, headers=headers)
    headers["Content-Type"] = "application/x-ndjson"
    return api.json("POST", "/eval/run", params=asked, content=content, headers=headers)


def _body(file: Path, content: bytes, asked: Sequence[tuple[str, str]]) -> bytes:
    """Return a request as it stands in a file, with what the command line says beside it."""
    try:
        body = json.loads(content)
    except ValueError as error:
        raise ServiceError(f"{file} is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise ServiceError(f"{file} holds no request: an object with cases is one.")
    for name, value in asked:
        if name in ("eval_type", "metrics"):
            given = body.get(name, [])
            body[name] = [*([given] if isinstance(given, str) else given), value]
        elif name.startswith(_LABELS):
            body["labels"] = {**body.get("labels", {}), name.removeprefix(_LABELS): value}
        else:
            body[name] = _value(value) if name not in ("baseline", "llm_model") else value
    return json.dumps(body, ensure_ascii=False).encode()


def _value(text: str) -> Any:
    """Return a number as a number; what else stands on a command line is a text."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, (int, float, bool)) else text


def _finish(
    api: Service, run_id: str, gate_metric: Sequence[str] | None, margin: float, as_json: bool
) -> int:
    for event in api.follow(run_id):
        said = _said(event)
        if said:
            errors.print(f"  {said}", highlight=False, markup=False, soft_wrap=True)
    found = api.run(run_id)
    compared = _compared(api, found, gate_metric, margin)
    if as_json:
        typer.echo(json.dumps({**found, "comparison": compared}, ensure_ascii=False, indent=1))
    else:
        typer.echo("\n".join(_in_words(found, compared)))
    return _code(found, compared)


def _compared(
    api: Service, found: dict[str, Any], gate_metric: Sequence[str] | None, margin: float
) -> dict[str, Any] | None:
    """Return the comparison with the baseline; None: there is none, or nothing to compare."""
    baseline = found.get("baseline") or (found.get("comparison") or {}).get("baseline")
    if not baseline or found["status"] not in ("succeeded", "partial"):
        return None
    params = [("a", f"run:{baseline}"), ("b", f"run:{found['run_id']}"), ("margin", str(margin))]
    params += [("metric", name) for name in gate_metric or []]
    return api.json("GET", "/eval/compare", params=params)


def _code(found: dict[str, Any], compared: dict[str, Any] | None) -> int:
    if found["status"] not in ("succeeded", "partial"):
        return COULD_NOT_RUN
    if compared is not None:
        return exit_code_of(compared["verdict"])
    return PASSED if found["status"] == "succeeded" else INCONCLUSIVE


def _said(event: Event) -> str:
    data = {name: value for name, value in event.data.items() if name not in _COMMON}
    if {"label", "done", "total"} <= data.keys():
        return f"{data['label']}: {data['done']} of {data['total']}"
    more = ", ".join(f"{name} {value}" for name, value in data.items() if _is_short(value))
    return f"{event.kind}{': ' if more else ''}{more}"


_COMMON = ("run_id", "kind", "at")


def _is_short(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and len(str(value)) <= 60


def _in_words(found: dict[str, Any], compared: dict[str, Any] | None) -> list[str]:
    from rag_bench.reporting.compared.text import whole

    counts = ", ".join(f"{n} {name}" for name, n in (found.get("counts") or {}).items())
    lines = [f"{found['run_id']}: {found['status']} ({counts})" if counts else found["status"]]
    for name, metric in (found.get("aggregates") or {}).items():
        if isinstance(metric, dict) and metric.get("value") is not None:
            scored = f"{metric.get('n_scored')}/{metric.get('n_expected')}"
            lines.append(f"  {name}: {metric['value']:.3f} ({scored})")
    if compared is not None:
        lines += ["", whole(compared)]
    return lines
