"""The job `model_changed`: a model is called another one behind its name, from Dagster's UI.

It is a job and no asset: "Materialize all" would else have every model asked anew.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from rag_bench.hashing import content_hash
from rag_bench.resources import DatabaseResource

JOB, OP = "model_changed", "mark_model_changed"
#: Under which what is to follow waits for the sensor of hooks; its ids are those of Dagster's runs.
ROUTE = "dagster/model_changed"


def model_changed_job(models: Sequence[str]) -> dg.JobDefinition:
    """Return the job; ``models``: the keys that may be named."""
    # Dagster takes two lists of one name for one, and keeps the first it saw in a process.
    name = f"ConfiguredModel_{content_hash(list(models))[:8]}"

    @dg.op(
        name=OP,
        description="Give a model its next revision, so that it is asked anew from now on.",
        config_schema={
            "model": dg.Field(
                dg.Enum(name, [dg.EnumValue(key) for key in models]),
                description="The key of a model, or of a reranker that is a service.",
            ),
            "measure_now": dg.Field(
                bool,
                default_value=False,
                description="Also start the jobs that measure it anew. Asks models, and pays.",
            ),
        },
        required_resource_keys={"database"},
    )
    def mark(context: dg.OpExecutionContext) -> None:
        said = context.op_config
        database: DatabaseResource = context.resources.database
        revision = mark_changed(database, context.run_id, said["model"], said["measure_now"])
        if said["measure_now"]:
            follows = "The sensor hooks_received starts its jobs, one after the other."
        else:
            follows = "Nothing is started: the next sweep, job or evaluation asks it anew."
        context.log.info(
            f"{said['model']} is revision {revision} from now on. {follows} Replies and results of "
            "before are kept."
        )
        context.add_output_metadata({"model": said["model"], "revision": revision})

    # The first is offline: who launches what the Launchpad opens with pays nothing.
    opened_with = {"ops": {OP: {"config": {"model": models[0], "measure_now": False}}}}

    @dg.job(
        name=JOB,
        config=opened_with,
        description=(
            "A model, or a reranker's service, was changed behind its name: what is stored of it "
            "counts for the one of before, and it is asked anew. Choose the model in the Launchpad "
            "(Ctrl+Space lists them). Starts nothing unless measure_now is true."
        ),
    )
    def model_changed() -> None:
        mark()

    return model_changed


def mark_changed(database: DatabaseResource, run_id: str, model: str, measure_now: bool) -> int:
    """Return the model's new revision. With ``measure_now`` a run of Dagster's leaves what a hook
    would leave, once per run.
    """
    import secrets

    from rag_bench.store.eval_runs.hooks import receive
    from rag_bench.store.eval_runs.model_revisions import revise

    payload: dict[str, Any] = {"type": "model.updated", "data": {"model": model, "options": []}}
    with database.engine.begin() as connection:
        revision = revise(connection, model, f"Dagster run {run_id}")
        if measure_now:
            receive(connection, ROUTE, run_id, payload, secrets.token_hex(16))
    return revision
