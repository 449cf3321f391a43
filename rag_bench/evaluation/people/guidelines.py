"""The guideline that stands for a measure unless there is one of one's own; faults of labels."""

from __future__ import annotations

from rag_bench.evaluation.people.measures import Measure, measure_of, measures
from rag_bench.evaluation.rubrics import RUBRICS, prompt_files, split_header

_GATE_PROMPT = "production_judge"
#: RAGAS asks for statements and verdicts, and counts; people are told what the count stands for.
_RAGAS = {
    "ragas_faithfulness": "Split the answer into statements. Which share of them follows from the "
    "fragments alone? Knowledge from elsewhere does not count, however true. An answer without "
    "any statement cannot be told.",
    "ragas_answer_relevancy": "Does the answer answer this question, and nothing else? What is "
    "true does not matter here. Evading, or answering another question, is 0; a part of what was "
    "asked, or much beside it, lies between.",
    "ragas_answer_correctness": "Compare the answer with the reference answer. Which share of what "
    "both say do they agree on? What the reference says and the answer lacks counts as much as "
    "what the answer adds and the reference contradicts or does not know.",
    "ragas_context_precision": "Do the fragments that help to give the reference answer stand "
    "first? 1: the useful ones come before all others. 0: none is useful. Useless fragments "
    "before useful ones lower it; useless ones after them do not.",
    "ragas_context_recall": "Take the reference answer sentence by sentence. Which share of its "
    "sentences can be derived from the fragments?",
}
_GRADES = "Say 0 (no), 0.25, 0.5, 0.75 or 1 (yes): the nearest. Good is 0.75 and more."


def labelled_metrics() -> tuple[str, ...]:
    """Return the metrics that people can label: rubrics first."""
    return tuple(measures())


def judge_guideline(metric: str) -> str:
    """Return what the judge itself is told, so that both go by one rule; for RAGAS, whose prompts
    ask for statements and verdicts, what their count stands for.

    Raises:
        ValueError: nothing of this name is labelled.
    """
    measure = measure_of(metric)
    if measure.metric in _RAGAS:
        return f"{_RAGAS[measure.metric]}\n\n{_GRADES}"
    source = prompt_files()[prompt_of(measure)].read_text(encoding="utf-8").replace("\r\n", "\n")
    _, body = split_header(prompt_of(measure), source)
    system = body.partition("# user")[0].replace("# system", "", 1)
    return system.strip()


def prompt_of(measure: Measure) -> str:
    """Return the prompt file of a rubric, or of production judges, without its ending."""
    if measure.source == "gate":
        return _GATE_PROMPT
    return next(one.prompt for one in RUBRICS.values() if one.metric.name == measure.metric)


def label_fault(metric: str, value: float | None) -> str | None:
    """Return what is wrong with a label's metric or value; None if nothing is."""
    try:
        measure = measure_of(metric)
    except ValueError as error:
        return str(error)
    if metric != measure.metric:
        return f"the metric is called {measure.metric}, not {metric}"
    if value is not None and value not in measure.values:
        return f"a label by {metric} is {measure.said}, not {value:g}"
    return None
