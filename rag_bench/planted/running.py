"""From a baseline to a row per plant: copy, plant, measure, ask every check."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.planted.dump_edits import edited
from rag_bench.planted.finding import found_by, look, told
from rag_bench.planted.plants import Plant
from rag_bench.planted.world import Ran, opened

if TYPE_CHECKING:
    from rag_bench.planted.scratch import Scratch

Report = Callable[[str, int, int], None]
LABEL = "planted faults"


@dataclass(frozen=True)
class Baseline:
    """What plants are copied from: a swept database, its dump, the sources of that, and what the
    stages said.
    """

    url: str
    dump: Path
    data: Path
    ran: Ran


def rows(
    scratch: Scratch, data: Path, folder: Path, plants: Sequence[Plant], report: Report
) -> Iterator[dict[str, Any]]:
    """Plant one after the other and yield what was found, as it is stored.

    Args:
        scratch: where databases are made.
        data: the sources of the world.
        folder: for dumps and reports; nothing else is written.
        plants: what is planted.
        report: told how far it is.

    Raises:
        RagBenchError: the world cannot be made, or is not sound before anything is planted.
    """
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    os.environ["RAG_BENCH_DATA_DIR"] = str(data)  # of this process, which is its own
    report(LABEL, 0, len(plants) + 1)
    baseline = _baseline(scratch, data, folder)
    for done, plant in enumerate(plants, 1):
        report(LABEL, done, len(plants) + 1)
        yield _row(scratch, baseline, folder, plant)
    report(LABEL, len(plants) + 1, len(plants) + 1)


def _baseline(scratch: Scratch, data: Path, folder: Path) -> Baseline:
    from rag_bench.demo.dump import build_demo_dump

    url = scratch.new()
    dump = build_demo_dump(data, folder, url, n_rows=_TRAFFIC).path
    ran = Ran()
    with opened(url, folder) as world:
        for step in (lambda: world.load(dump), world.measure):
            ran.extend(step())
            if ran.errors:
                raise RagBenchError(f"The self-test's own world fails: {'; '.join(ran.errors)}")
        world.pin()
        ran.extend(world.watch())
    return Baseline(url, dump, data, ran)


#: Users' questions in the dump: the dump must have some, and no tier here reads them.
_TRAFFIC = 100


def _row(scratch: Scratch, baseline: Baseline, folder: Path, plant: Plant) -> dict[str, Any]:
    started = time.monotonic()
    url = scratch.new(baseline.url)
    ran = Ran()
    try:
        with opened(url, folder) as world:
            try:
                with plant.in_place():
                    if plant.dump is not None:
                        target = folder / "planted.dump"
                        ran.extend(world.load(edited(baseline.dump, target, plant.dump)))
                    ran.extend(world.measure())
                    ran.extend(world.watch())
                    seen = look(world, baseline.ran, ran)
            except RagBenchError as error:
                ran.errors.append(str(error))
                seen = look(world, baseline.ran, ran)
            return {
                "fault": plant.fault,
                "words": plant.words,
                "size": plant.size,
                "control": plant.is_control,
                # Where the world's files lie on this machine says nothing of the fault.
                "found": [
                    {**one.as_json(), "said": one.said.replace(f"{baseline.data}/", "")}
                    for one in found_by(seen)
                ],
                "told": told(seen),
                "seconds": round(time.monotonic() - started, 1),
            }
    finally:
        scratch.drop(url)
