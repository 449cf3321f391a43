"""Made-up retrievals of three retrievers on twelve pages, as tier 1 stores them."""

from __future__ import annotations

from datetime import UTC, datetime

from measured import dataset, store
from sqlalchemy import Engine

from rag_bench.evaluation.metrics.retrieval import RetrievalCase, score_retrieval
from rag_bench.evaluation.retrievers.retrieval_costs import cost_metrics
from rag_bench.reporting.retriever_board import Asked, RetrieverBoard, build
from rag_bench.store.evaluations import Case
from rag_bench.store.retrieving.retriever_costs import save_costs

N = 12
#: At which rank each retriever finds a question's only chunk: below 10 it is not found.
RANKS = {
    "default": [1, 1, *[3] * (N - 2)],
    "better": [1] * N,
    "hardly": [2, 1, *[3] * (N - 2)],
}
ASKED = [Asked(name, f"{name} in words", f"settings-{name}", 10) for name in RANKS]


def store_retrieval(engine: Engine, name: str, ranks: list[int] | None = None) -> None:
    """Store what tier 1 finds: the chunk of question n, ``c<n>``, at its rank."""
    cases = []
    for n, rank in enumerate(ranks or RANKS[name]):
        chunks = [f"other-{i}" for i in range(10)]
        chunks[rank - 1 : rank] = [f"c{n}"]
        cases.append(RetrievalCase(f"{n}", [(c, f"page of {c}") for c in chunks], {f"c{n}"}))
    scores = score_retrieval(cases)
    stored = [
        Case(
            case.case_id,
            retrieved=[c for c, _ in case.retrieved or ()],
            scores=scores[case.case_id],
        )
        for case in cases
    ]
    store(engine, "1", "metrics", {}, settings=f"settings-{name}", cases=stored)


def store_costs(engine: Engine, name: str, ms: float) -> None:
    """Store that 80 queries took about as many milliseconds each."""
    queries = [{"query": ms + n / 100, "search": ms / 2} for n in range(80)]
    identity = {"settings_hash": f"settings-{name}", "settings": {}}
    save_costs(engine, identity, cost_metrics(queries, 0.25, 3_000_000), {}, datetime.now(UTC))


def measured_board(engine: Engine, asked: list[Asked] | None = None) -> RetrieverBoard:
    """The board of these retrievers over twelve questions of as many pages."""
    clusters = {f"{n}": f"page {n}" for n in range(N)}
    questions = {f"{n}": f"Вопрос {n}?" for n in range(N)}
    return build(engine, asked or ASKED, clusters, questions, dataset(engine, n=N), "default")
