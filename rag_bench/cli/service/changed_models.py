"""``rag-bench model-changed``: a model is another one now behind the same name."""

from __future__ import annotations

from typing import Annotated

import typer

from rag_bench.cli.app import app, open_engine
from rag_bench.cli.service.access import note


@app.command("model-changed")
def model_changed(
    model: Annotated[
        str,
        typer.Argument(help="Its key, a name that only one provider lists, or a reranker's table."),
    ],
) -> None:
    """Ask a model anew from now on, as it was changed behind its name; starts nothing.

    What is stored of it stays. The hook model-updated does the same and starts the jobs.
    """
    from rag_bench.store.eval_runs.model_revisions import revise
    from rag_bench.tiers.base.changed_models import configured_model

    key = configured_model(model)
    engine = open_engine()
    with engine.begin() as connection:
        revision = revise(connection, key, "rag-bench model-changed")
        note(connection, "model-changed", None)
    typer.echo(
        f"{key} is revision {revision} from now on: whatever is measured of it is asked anew, by "
        "the next sweep, job or evaluation. Replies and results of before are kept."
    )
