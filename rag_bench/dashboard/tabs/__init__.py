"""The tabs. Each is a function from what is looked at to a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rag_bench.dashboard.context import Context
from rag_bench.dashboard.page.parts import Page
from rag_bench.dashboard.tabs import (
    compare,
    domain,
    gates,
    judges,
    models,
    overview,
    questions,
    runs,
    topics,
    utilization,
)

TABS: Mapping[str, Callable[[Context], Page]] = {
    "overview": overview.page,
    "runs": runs.page,
    "models": models.page,
    "judges": judges.page,
    "gates": gates.page,
    "compare": compare.page,
    "questions": questions.page,
    "utilization": utilization.page,
    "topics": topics.page,
    "domain": domain.page,
}
