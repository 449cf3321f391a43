"""Group retrieval: all measured retrievers against the default one. Asks no model."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import number, picture, table, words_table
from rag_bench.assets.factories.trials import apart
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.types import few_pages
from rag_bench.hashing import content_hash
from rag_bench.resources import BenchmarkResource, DatabaseResource
from rag_bench.retrievers import DEFAULT, retrievers

if TYPE_CHECKING:
    from rag_bench.reporting.retriever_board import Line, RetrieverBoard
    from rag_bench.tiers.base.bench import Bench

GROUP = "retrieval"
#: The asset that measures each retriever.
LAB = "retrieval_lab"
_CHANGES_SHOWN = 10


def board_of(bench: "Bench", names: Collection[str] = ()) -> "RetrieverBoard":
    """Return the board of the retrievers under a run's other settings; empty ``names``: of all.

    Raises:
        NothingToCompareError: ``default`` was not measured, or no question can be judged.
        ConfigurationError: there is no such retriever.
    """
    from rag_bench.evaluation.metrics.retrieval import RetrievalCase
    from rag_bench.reporting.retriever_board import Asked, build, words_of

    known = retrievers(bench.settings)
    wanted = [name for name in known if not names or name in (DEFAULT, *names)]
    benches: dict[str, Bench] = {}
    unusable: dict[str, str] = {}
    for name in wanted:
        try:
            benches[name] = bench.by_retriever(name)
        except RagBenchError as error:
            if name == DEFAULT:
                raise
            unusable[name] = str(error)
    clusters = {
        item.item_id: RetrievalCase(
            item.item_id, None, item.chunk_hashes, item.page_urls, cluster=item.cluster
        ).cluster_label
        for item in bench.items
        if not item.out_of_scope
    }
    board = build(
        bench.engine,
        [
            Asked(name, words_of(one.retriever), one.run.hash, one.run.top_k)
            for name, one in benches.items()
        ],
        clusters,
        {item.item_id: item.question for item in bench.items},
        bench.dataset,
        DEFAULT,
    )
    return replace(board, unusable=unusable)


def board_if_several(bench: "Bench") -> "RetrieverBoard | None":
    """Return the board of all retrievers; None where fewer than two were measured."""
    from rag_bench.reporting.retriever_board import NothingToCompareError

    try:
        board = board_of(bench)
    except NothingToCompareError:
        return None
    return board if len(board.lines) > 1 else None


@asset(group_name=GROUP, kinds={"postgres", "matplotlib"}, deps=[LAB], code_version="1")
def retriever_comparison(
    context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.MaterializeResult:
    """Every measured retriever against the default one: paired by question, clustered by page,
    with p by Holm, what could be seen at all, and which questions change.
    """
    from rag_bench.reporting.retriever_board import NothingToCompareError

    bench = benchmark.open(database.engine, context.run.run_id)
    try:
        board = board_of(bench)
    except NothingToCompareError as error:
        # Not measured yet, or no question is judged: there is nothing to compare, and no fault.
        context.log.warning(str(error))
        note = {"note": str(error), "settings_hash": bench.run.hash}
        version = content_hash(["nothing", str(error)])
        nothing: dg.MaterializeResult[None] = dg.MaterializeResult(
            data_version=dg.DataVersion(version), metadata=note
        )
        return apart(context, bench, nothing)
    result: dg.MaterializeResult[None] = dg.MaterializeResult(
        data_version=dg.DataVersion(board.version),
        metadata={**comparison_metadata(board), "settings_hash": bench.run.hash},
    )
    return apart(context, bench, result)


def comparison_metadata(board: "RetrieverBoard") -> dict[str, Any]:
    """Return the board for the UI: tables, which it shows as they are, notes, the plot, and what
    it draws over time.
    """
    from rag_bench.reporting.retriever_board import notes
    from rag_bench.reporting.retriever_plot import plot

    metadata: dict[str, Any] = {"table": _quality(board), "costs": _costs(board)}
    if board.contrasts:
        metadata["against_default"] = _differences(board)
    if changed := _changed(board):
        metadata["changed_questions"] = words_table(
            ["retriever", "measure", "", "question", "id"], changed
        )
    metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in notes(board)))
    metadata["plot"] = picture(plot(board))
    metadata |= {
        "dataset": str(board.dataset),
        "n_questions": board.n_judged,
        "n_retrievers": len(board.lines),
        "n_not_measured": len(board.missing),
    }
    mrr = f"{board.level}_mrr"
    for line in board.lines:
        if (value := line.metrics[mrr]["value"]) is not None:
            metadata[f"{mrr}: {line.name}"] = value
    return metadata


def _quality(board: "RetrieverBoard") -> dg.TableMetadataValue:
    from rag_bench.reporting.retriever_board import title_of

    return table(
        ["retriever", "what", *map(title_of, board.measures), "p50, ms", "p95, ms", "scored"],
        [
            [
                line.name,
                line.asked.words,
                *(_with_interval(line.metrics[measure]) for measure in board.measures),
                number(line.cost("p50_query_latency_ms"), 1),
                number(line.cost("p95_query_latency_ms"), 1),
                "{n_scored} of {n_expected}".format(**line.metrics[board.measures[0]]),
            ]
            for line in board.lines
        ],
    )


def _with_interval(metric: Any) -> str:
    if metric["ci_low"] is None:
        return f"{number(metric['value'])} {few_pages(metric)}".strip()
    ends = f"[{metric['ci_low']:.3f}, {metric['ci_high']:.3f}]"
    return f"{number(metric['value'])} {ends} {few_pages(metric)}".strip()


def _costs(board: "RetrieverBoard") -> dg.TableMetadataValue:
    parts = ("query", "encoding", "search", "reranking")

    def row(line: "Line") -> list[Any]:
        ms = [
            number(line.cost(f"{quantile}_{part}_latency_ms"), 1)
            for part in parts
            for quantile in ("p50", "p95")
        ]
        return [line.name, *ms, number(line.cost("build_seconds")), number(line.megabytes, 2)]

    columns = [f"{part} {quantile}, ms" for part in parts for quantile in ("p50", "p95")]
    return table(["retriever", *columns, "build, s", "index, MB"], list(map(row, board.lines)))


def _differences(board: "RetrieverBoard") -> dg.TableMetadataValue:
    from rag_bench.reporting.retriever_board import title_of

    def row(one: Any) -> list[Any]:
        difference = one.comparison.difference
        interval = (
            "–"
            if difference.ci_low is None
            else f"{difference.ci_low:+.3f} … {difference.ci_high:+.3f}"
        )
        value = "–" if difference.value is None else f"{difference.value:+.3f}"
        detectable = number(one.comparison.minimum_detectable)
        return [
            *(one.name, title_of(one.measure), one.verdict, value, interval),
            *(number(one.p_adjusted, 4), detectable, len(one.gained), len(one.lost)),
        ]

    columns = ["retriever", "measure", f"than {board.baseline}", "difference", "95 % interval"]
    columns += ["p (Holm)", "detectable", "questions gained", "lost"]
    return table(columns, [row(one) for one in board.contrasts])


def _changed(board: "RetrieverBoard") -> Sequence[Sequence[str]]:
    """Return, of each retriever, the first questions that it finds first and the default one does
    not, and the other way round.
    """
    from rag_bench.privacy.given_names import mask_given
    from rag_bench.reporting.retriever_board import title_of

    first = f"{board.level}_hit_rate@1"
    return [
        [line.name, title_of(first), word, board.questions.get(case, ""), mask_given([case])[0]]
        for line in board.lines
        if line.contrasts
        for word, cases in (
            ("gained", line.contrasts[first].gained),
            ("lost", line.contrasts[first].lost),
        )
        for case in cases[:_CHANGES_SHOWN]
    ]


ASSETS = [retriever_comparison]
