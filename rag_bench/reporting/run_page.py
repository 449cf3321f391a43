"""One run of the service as a page for people, in the look of the report; it loads nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rag_bench.reporting.compared import text
from rag_bench.reporting.report import environment

_MEASURES = ("faithfulness", "answer_relevancy", "context_precision", "context_recall")
#: What a code of an error means, in words.
ERRORS: Mapping[str, str] = {
    "LLM_FAILED": "A model did not answer, or not in a form that can be read; the case is skipped.",
    "TIMEOUT": "A model did not answer in time.",
    "NO_CITATIONS": "The answer cites nothing; context_recall of the case is 0.",
    "METRIC_ERROR": "A metric could not be computed; it is missing at the case, others stand.",
    "INVALID_INPUT": "A metric cannot read the case.",
}
_TONES = {"succeeded": "good", "partial": "attention", "failed": "critical"}


def run_page(
    run: Mapping[str, Any], cases: Sequence[Mapping[str, Any]], *, more: bool = False
) -> str:
    """Return the page of a run.

    Args:
        run: as the service replies, without its cases.
        cases: as it replies, each with its ``question``: those that people should look at.
        more: whether there are more of these.
    """
    return (
        environment("run.html.j2")
        .get_template("run.html.j2")
        .render(
            run=run,
            tone=_TONES.get(run["status"], "insufficient_data"),
            errors=[
                (code, n, ERRORS.get(code, "")) for code, n in sorted(run["errors"].items()) if n
            ],
            compared=_compared(run["comparison"]) if run["comparison"] else None,
            cases=cases,
            more=more,
            measures=[name for name in _MEASURES if any(one[name] is not None for one in cases)],
            config=[(name, _said(value)) for name, value in run["config"].items() if value],
        )
    )


def _compared(found: Mapping[str, Any]) -> dict[str, Any]:
    if "metrics" not in found:
        return {"error": str(found.get("error") or "It was not compared.")}
    headings, rows = text.table(found)
    return {"error": None, "headings": headings, "rows": rows, "lines": list(text.lines(found))}


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
