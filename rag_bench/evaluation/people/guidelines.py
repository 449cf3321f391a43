"""What is labelled, and the guideline that stands for a rubric unless there is one of one's own."""

from __future__ import annotations

from rag_bench.evaluation.rubrics import (
    PREFIX,
    RUBRICS,
    SCALE,
    Rubric,
    prompt_files,
    split_header,
)


def labelled_metrics() -> tuple[str, ...]:
    """Return the metrics that people can label: one of each rubric."""
    return tuple(rubric.metric.name for rubric in RUBRICS.values())


def rubric_of(metric: str) -> Rubric:
    """Return the rubric of a metric, with or without its prefix.

    Raises:
        ValueError: there is no such rubric; the message names those there are.
    """
    found = RUBRICS.get(metric.removeprefix(PREFIX))
    if found is None:
        raise ValueError(f"{metric!r} is no rubric; there are {', '.join(labelled_metrics())}")
    return found


def rubric_guideline(metric: str) -> str:
    """Return what the judge itself is told: so that both go by one rule."""
    rubric = rubric_of(metric)
    source = prompt_files()[rubric.prompt].read_text(encoding="utf-8").replace("\r\n", "\n")
    _, body = split_header(rubric.prompt, source)
    system = body.partition("# user")[0].replace("# system", "", 1)
    return system.strip()


def label_fault(metric: str, value: float | None) -> str | None:
    """Return what is wrong with a label's metric or value; None if nothing is."""
    try:
        rubric_of(metric)
    except ValueError as error:
        return str(error)
    low, high = SCALE
    if value is not None and not (float(value).is_integer() and low <= value <= high):
        return f"a label by {metric} is a whole number from {low:g} to {high:g}, not {value:g}"
    return None
