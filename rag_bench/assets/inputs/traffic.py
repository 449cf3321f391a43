"""Group datasets: questions of real users with the answers that they got."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from rag_bench.analytics.traffic import SEED
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import table
from rag_bench.assets.inputs.datasets import GROUP
from rag_bench.assets.inputs.source import chunk, question_answer
from rag_bench.resources import DatabaseResource

if TYPE_CHECKING:
    from rag_bench.tiers.traffic.dataset import TrafficDataset

_PREVIEW = 8


class TrafficConfig(dg.Config):
    """Which of the users' questions are taken."""

    size: int = Field(default=300, ge=1, description="How many different questions, at most.")
    seed: int = Field(default=SEED, description="Another one is another sample.")
    months: list[str] = Field(
        default=[],
        description="Only of these months, as 2026-01; unknown: rows without a time. Empty: all.",
    )
    answered_only: bool = Field(
        default=False,
        description="Leave out questions that production did not answer: its answers are then "
        "scored for all of the sample.",
    )
    name: str = Field(default="traffic", description="The dataset's name.")


@asset(
    group_name=GROUP,
    kinds={"postgres", "table"},
    deps=[chunk, question_answer, dg.AssetKey("topic_coverage")],
    code_version="1",
)
def traffic_dataset(
    context: dg.AssetExecutionContext, config: TrafficConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """A sample of what users really asked, with the answers that they got: by month, and by topic
    where topic_coverage has found topics; without repeats; masked before it is stored.

    Name it as the dataset of a run: tier 3 then measures production/log beside the models. A dump
    without questions of users leaves nothing to do.
    """
    from rag_bench.errors import RagBenchError
    from rag_bench.store import snapshots
    from rag_bench.tiers.traffic.dataset import TrafficRecipe, make_traffic_dataset

    try:
        recipe = TrafficRecipe(
            config.size, config.seed, tuple(config.months), config.answered_only, config.name
        )
    except RagBenchError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    if not snapshots.require_current(database.engine).n_questions:
        note = "the current snapshot holds no questions of users"
        context.log.info(note)
        return dg.MaterializeResult(
            data_version=dg.DataVersion("none"), metadata={"n_items": 0, "note": note}
        )
    made = make_traffic_dataset(database.engine, recipe)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(made.info.id),
        metadata={
            "dataset": str(made.info),
            "dataset_id": made.info.id,
            "n_items": made.info.n_items,
            **{f"n_{name}": n for name, n in made.sample.counts.items()},
            "n_answered": made.n_answered,
            "n_refused": made.n_refused,
            "n_unanswered": made.n_unanswered,
            "n_rated": made.n_rated,
            "topics": made.topics or "none: materialize topic_coverage for strata by topic",
            "by_month": table(["month", "questions"], list(made.sample.by_month.items())),
            "preview": _preview(made),
        },
    )


def _preview(made: "TrafficDataset") -> dg.TableMetadataValue:
    return table(
        ["question", "what users got", "month"],
        [[q.question, q.answer, q.month] for q in made.sample.questions[:_PREVIEW]],
    )


ASSETS = [traffic_dataset]
