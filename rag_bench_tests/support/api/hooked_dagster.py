"""The sensor of hooks with an instance of Dagster's, and hooks as the API leaves them."""

from __future__ import annotations

import uuid

import dagster as dg
from sqlalchemy import Engine

from rag_bench.definitions import build_defs
from rag_bench.partitions import ModelLists
from rag_bench.sensors.hooks import NAME
from rag_bench.store.eval_runs import hooks as stored

MODEL, DOCUMENTS = "/hooks/model-updated", "/hooks/documents-updated"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class HookedDagster:
    """The sensor with an instance, over two models of each role; runs end when they are told to."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        lists = ModelLists(["a/1", "a/2"], ["j/1", "j/2"], ["p/1", "a/2"])
        self.instance = instance
        self.repository = build_defs(lists).get_repository_def()
        self.sensor = self.repository.get_sensor_def(NAME)

    def look(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(instance=self.instance, repository_def=self.repository)
        return list(self.sensor.evaluate_tick(context).run_requests or [])

    def run(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> str:
        run = dg.DagsterRun(
            job_name=str(request.job_name), run_id=str(uuid.uuid4()),
            tags=dict(request.tags), status=status,
        )  # fmt: skip
        self.instance.add_run(run)
        return run.run_id

    def follow(self) -> list[tuple[str, str, str]]:
        """Let each run succeed; return what was started, in order: job, first and last key."""
        found = []
        while requests := self.look():
            for one in requests:
                start, end = (
                    "dagster/asset_partition_range_start",
                    "dagster/asset_partition_range_end",
                )
                found.append((str(one.job_name), one.tags.get(start, ""), one.tags.get(end, "")))
                self.run(one, dg.DagsterRunStatus.SUCCESS)
        return found


def received(engine: Engine, message_id: str, model: str, *options: str) -> None:
    data = {"model": model, "options": list(options)}
    with engine.begin() as connection:
        stored.receive(
            connection, MODEL, message_id, {"type": "model.updated", "data": data}, TRACE
        )
