"""Runs over ranges of partitions, as Dagster's own backfills launch them."""

from __future__ import annotations

from small_world import SCORES, World, materializations

from rag_bench.assets.factories.cells import RANGE_END, RANGE_START


def test_a_backfill_of_the_grid_does_the_cells_of_its_range(done_world: World) -> None:
    """A job's backfill gives each run, beside its range, the dimensions of the first key of all."""
    judge, generators = (
        "simulator/sim-judge-lenient",
        ("simulator/sim-strong", "simulator/sim-weak"),
    )
    result = done_world.run(
        SCORES,
        tags={
            RANGE_START: f"{judge}|{generators[0]}",
            RANGE_END: f"{judge}|{generators[1]}",
            "dagster/partition/benchmark_judge": "simulator/sim-judge-sharp",
            "dagster/partition/generation_model": "simulator/extractive",
        },
    )
    assert result.success
    for asset in SCORES:
        done = {str(found.partition) for found in materializations(result, asset)}
        assert done >= {f"{judge}|{generator}" for generator in generators}
        assert all(cell.startswith(f"{judge}|") for cell in done)


def test_cells_name_the_materializations_they_were_made_from(done_world: World) -> None:
    """Without version and pointer of every input, the UI calls a cell out of date for ever."""
    result = done_world.run(SCORES)
    for asset in SCORES:
        upstream = asset.replace("scores", "answers")
        for found in materializations(result, asset):
            tags = found.tags or {}
            assert len(tags[f"dagster/input_data_version/{upstream}"]) == 64
            assert f"dagster/input_event_pointer/{upstream}" in tags
