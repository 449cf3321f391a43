"""What two sides were made with, by name, and in what of it they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rag_bench.answer_sources import source_of
from rag_bench.evaluation.instrument.served import names_of
from rag_bench.hashing import canonical_json
from rag_bench.reporting.bridges import detail_between
from rag_bench.reporting.compared import input_details

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.reporting.compared.sides import Side
    from rag_bench.store.evaluations.comparing import EvaluationToCompare

# What an evaluation notes of its outcome, or of what it was made from beside its inputs.
_NOT_READ = (
    *("n_retryable", "flags", "outcome_hash", "answers_evaluation", "result", "calls", "served"),
)
# A value that is longer is a text or a list of results, which no line can show.
_MOST_CHARACTERS = 400

IN_WORDS: Mapping[str, str] = {
    "generation_model": "generation model",
    "judge_model": "benchmark judge",
    "production_judge_model": "production judge",
    "embedding_model": "encoder",
    "encoder": "encoder's content",
    "dataset_id": "dataset",
    "dump_sha256": "dump",
    "corpus_hash": "texts of the chunks",
    "prompt_hash": "prompts of the tiers that are compared",
    "answers_hash": "answers that were judged",
    "git_commit": "commit",
    "served_model": "model that answered",
    "model_revisions": "revision of the model behind its name",
    "retriever_name": "retriever",
    "retriever": "retriever",
    "limit": "limit of questions",
    "eval_types": "kinds of evaluation",
    "metrics": "metrics that were asked for",
}


Cause = Literal[
    "prompt", "model", "judge", "dump", "retriever", "dataset", "settings", "code", "result"
]
#: What kind of thing each is; prompts by the ends of their names, all others are settings.
_CAUSES: Mapping[str, Cause] = {
    "generation_model": "model",
    "judge_model": "judge",
    "model_revisions": "model",
    "production_judge_model": "judge",
    "judge_eval_mode": "judge",
    "dump_sha256": "dump",
    "corpus_hash": "dump",
    "dataset_id": "dataset",
    "limit": "dataset",
    "pairs": "dataset",
    "retriever": "retriever",
    "retriever_name": "retriever",
    "search": "retriever",
    "top_k": "retriever",
    "contexts_per_answer": "retriever",
    "retrieval_threshold": "retriever",
    "encoder": "retriever",
    "embedding_model": "retriever",
    "git_commit": "code",
    "ragas_version": "code",
    "answers_hash": "result",
    "retrieval_hash": "result",
}


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same on both sides; ``detail``: more of it, as JSON."""

    name: str
    a: Any
    b: Any
    detail: Mapping[str, Any] | None = None

    @property
    def in_words(self) -> str:
        """What it is called."""
        name, separator, of = self.name.partition(" (")
        return IN_WORDS.get(name, name.replace("_", " ")) + separator + of

    @property
    def cause(self) -> Cause:
        """What kind of thing differs; a ``result`` follows from others."""
        return cause_of(self.name, self.a, self.b)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs; ``detail`` only where there is one."""
        found = {
            "name": self.name,
            "in_words": self.in_words,
            "cause": self.cause,
            "a": self.a,
            "b": self.b,
        }
        return {**found, "detail": self.detail} if self.detail else found


def of_the_evaluation(found: EvaluationToCompare) -> dict[str, Any]:
    """Return what an evaluation was made with."""
    made = {
        "tier": found.tier,
        "kind": found.kind,
        "generation_model": found.generation_model,
        "judge_model": found.benchmark_judge_model,
        "production_judge_model": found.production_judge_model,
        "dataset_id": found.dataset_id,
        "dump_sha256": found.dump_sha256,
        **_of_one(vars(found)),
    }
    return {name: value for name, value in made.items() if value is not None}


def of_the_run(
    config: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what a run was made with: its config, and what all its evaluations say of it."""
    made: dict[str, Any] = {}
    for one in evaluations:
        found = _of_one(one)
        # A part's own questions, answers and contexts are no setting of the run.
        ours = {"dataset_id", *(name for name in found if name.endswith("_hash"))} - {"corpus_hash"}
        for name in ours & found.keys():
            del found[name]
        for name, value in found.items():
            made.setdefault(name, value)
    said = {name: value for name, value in config.items() if value is not None}
    return {**made, **said}


def _of_one(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, inputs, prompts and code of an evaluation.

    Prompts and code are of a tier and kind: a run has several.
    """
    of = f" ({one['tier']}, {one['kind']})"
    settings = {name: value for name, value in one["settings"].items() if name != "prompt_hash"}
    inputs = {
        name: value
        for name, value in one["inputs"].items()
        if name not in _NOT_READ and len(canonical_json(value)) <= _MOST_CHARACTERS
    }
    made = {
        **settings,
        **inputs,
        f"prompt_hash{of}": one["prompt_hash"],
        f"code_version{of}": one["code_version"],
        "embedding_model": one["embedding_model"],
        "git_commit": one["git_commit"],
        **{f"served_model ({key})": ", ".join(n) for key, n in names_of(one["inputs"]).items()},
    }
    return {name: value for name, value in made.items() if value is not None}


def differences(engine: Engine, a: Side, b: Side) -> list[Difference]:
    """Return in what the two sides differ, models first.

    Of a run and an evaluation only what both say is compared.
    """
    first, second = a.made_with, b.made_with
    names = first.keys() | second.keys() if a.kind == b.kind else first.keys() & second.keys()
    names -= {"tier", "kind"} if a.kind != b.kind else set()
    order = {name: place for place, name in enumerate(IN_WORDS)}
    found = []
    for name in sorted(names, key=lambda name: (order.get(name, len(order)), name)):
        one, other = first.get(name), second.get(name)
        if one != other:
            found.append(Difference(name, one, other, _detail(engine, name, a, b)))
    return found


def made_alike(a: Side, b: Side, unlike: Sequence[Difference]) -> bool:
    """Whether two sides are one system that was measured twice; ``unlike``: their `differences`.

    What is not recorded may differ: the code must be, and the answers must be of a generation model
    that was asked here. Behind an answer source, as a live assistant, anything may have changed.
    """
    made = a.made_with
    model = made.get("generation_model")
    code = made.get("git_commit") and any(name.startswith("code_version") for name in made)
    if unlike or a.kind != b.kind or not code or not isinstance(model, str):
        return False
    return source_of(model) is None


def cause_of(name: str, a: Any = None, b: Any = None) -> Cause:
    """Return what kind of thing a difference is of.

    A code version that differs behind its dash only is of the prompts that it holds the hash of.
    """
    bare = name.partition(" (")[0]
    if bare == "code_version":
        alike = str(a).partition("-")[0] == str(b).partition("-")[0]
        return "prompt" if alike and a is not None and b is not None else "code"
    return _CAUSES.get(bare, "prompt" if bare.endswith("prompt_hash") else "settings")


def _detail(engine: Engine, name: str, a: Side, b: Side) -> dict[str, Any] | None:
    one, other = a.made_with.get(name), b.made_with.get(name)
    if name == "dump_sha256":
        return input_details.chunks(engine, a.dump, b.dump)
    if name.partition(" (")[0] == "prompt_hash":
        return input_details.prompts(engine, one, other)
    if name == "judge_model":
        return detail_between(engine, one, other)
    return input_details.fields(one, other)
