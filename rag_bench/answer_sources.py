"""Answer sources: what stands among the generation models and is none.

A generation model gets chunks and writes an answer; a source has its answers from elsewhere. It has
a key like a model's, so it stands in the lists, partitions, flags, sweep and leaderboard like one.
What there is is declared here, once; data only, as everything may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: The kind of datasets that hold questions of real users with the answers that they got.
TRAFFIC = "traffic"


@dataclass(frozen=True)
class AnswerSource:
    """Where answers come from that no generation model is asked for.

    Attributes:
        key: Among the keys of generation models.
        tasks: ``module:function`` that, of the bench, the open client, the step and the key, says
            what there is to do for it, as a tier's own function does of models.
        title: What it is, in words, behind its key.
        note: What a reader of a leaderboard must know of it, a sentence.
        tiers: In which it can be measured.
        datasets: Kinds of datasets that it has answers for; none: any.
        only: Why it is measured in no other tier, a sentence; empty: it is said which there are.
    """

    key: str
    tasks: str
    title: str
    note: str
    tiers: tuple[str, ...] = ("3",)
    datasets: tuple[str, ...] = ()
    only: str = ""


PRODUCTION_LOG = AnswerSource(
    "production/log",
    "rag_bench.tiers.answers.production_log:logged_task",
    "the answers that users got",
    "production/log is no model: it is the answers that users got, as the dump holds them. No call "
    "was made for them, so they have neither latency nor price. It is the baseline that a model "
    "must beat on the same questions.",
    datasets=(TRAFFIC,),
)


#: How the keys of live assistants begin; the environment names them (`TARGET_<NAME>_URL`).
TARGET_PREFIX = "target/"


def live_assistant(key: str) -> AnswerSource:
    """Return an assistant that runs already, as a source."""
    return AnswerSource(
        key,
        "rag_bench.tiers.answers.targets.target_tasks:target_task",
        "a live assistant",
        f"{key} is a live assistant, and its retrieval is its own: it was given a question and "
        "nothing else, so ours (tier 1) and tier 2 say nothing of it.",
        only=f"{key} retrieves by itself: it cannot be given the relevant chunks, so tier 2 does "
        "not apply to it. Its answers are measured in tier 3.",
    )


#: Answers that a client of the service gave with its questions.
CLIENT_ANSWERS = AnswerSource(
    "client/answers",
    "rag_bench.tiers.answers.client_answers:client_task",
    "answers that a client of the service gave",
    "client/answers is no model: a client sent these answers with its questions, and the contexts "
    "that they were made from. No call was made for them, so they have neither latency nor price.",
    datasets=("eval",),
)


def answer_sources(environment: Mapping[str, str]) -> Sequence[AnswerSource]:
    """Return the sources that a sweep may be asked for, beside live assistants, which are
    providers: production's log. What clients give is measured when they send it.
    """
    return [PRODUCTION_LOG]


def source_of(key: str) -> AnswerSource | None:
    """Return the source of a key among generation models; None: it is a model's."""
    if key.startswith(TARGET_PREFIX):
        return live_assistant(key)
    return next((one for one in (PRODUCTION_LOG, CLIENT_ANSWERS) if key == one.key), None)


def why_nothing(key: str, tier: str, kind: str) -> str | None:
    """Return why a model or source is not measured in a tier on a dataset of a kind; None: it is.

    It is no fault: there is nothing to measure, and the words say where there is.
    """
    if kind == TRAFFIC and tier == "2":
        return (
            "Questions of real users have no relevant chunks that people named, which tier 2 gives "
            "to generators: on a traffic dataset tier 3 is measured."
        )
    source = source_of(key)
    if source is None:
        return None
    if source.datasets and kind not in source.datasets:
        return (
            f"{key} has answers to the questions of {' and '.join(source.datasets)} datasets only, "
            f"and this one is {kind}: make one (rag-bench make-traffic-dataset, asset "
            "traffic_dataset) and name it as the dataset."
        )
    if tier not in source.tiers:
        return source.only or f"{key} is measured in tier {' and '.join(source.tiers)} only."
    return None
