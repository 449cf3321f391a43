"""Measuring as a stored evaluation was measured: its settings, dump, prompts and models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from rag_bench.benchmark_fields import BenchmarkFields
from rag_bench.errors import RagBenchError
from rag_bench.llm.prompt_texts import MEASURED_PROMPTS
from rag_bench.llm.tasks.prompts import prompt_hash, prompts_as
from rag_bench.llm.transport.context import fresh_replicates
from rag_bench.reporting.compared.input_details import prompt_texts
from rag_bench.retrievers import DEFAULT, name_in
from rag_bench.searches import Search
from rag_bench.settings import get_settings
from rag_bench.store import datasets, snapshots
from rag_bench.store.evaluations import StoredEvaluation
from rag_bench.store.evaluations.comparing import EvaluationToCompare
from rag_bench.store.vectors import MissingVectorsError
from rag_bench.tiers import registry
from rag_bench.tiers.base.evaluate import Blocked, Nothing, Task, evaluate, evaluate_here, find
from rag_bench.tiers.base.opening import open_bench
from rag_bench.tiers.registry import Axis, Step
from rag_bench.tiers.retrieval.searchers import passage_texts

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.models import Models
    from rag_bench.tiers.plan.counting import Walk

#: Number of the first repeat of answers that are asked for anew: above whatever a run asks.
FRESH = 500
#: Settings that follow from others, or say what kind of record it is.
_NO_CONDITION = ("retriever_name", "limit", "replicate", "only", "corner")
_FIELDS = (
    *("top_k", "contexts_per_answer", "consistency_runs", "judge_eval_mode"),
    *("tier3_all_rubrics", "cached_answers", "cache_threshold", "limit"),
)


class CannotReplayError(RagBenchError):
    """It cannot be measured in that way any more; the message says why."""


class NotLookedUpError(RagBenchError):
    """What it would take is not known without doing what is free first; the message says what."""


@dataclass(frozen=True)
class Conditions:
    """What an evaluation was, or would be, made under.

    Attributes:
        settings: as they are stored beside it.
        dump: sha256 of the snapshot.
        generation_model, judge: its models, by which its partition is known.
        tier, kind: what is measured.
    """

    settings: Mapping[str, Any]
    dump: str
    tier: str
    kind: str
    generation_model: str | None
    judge: str | None

    @classmethod
    def of(cls, found: EvaluationToCompare) -> Conditions:
        """Return those of a stored evaluation.

        Raises:
            CannotReplayError: it was made of no dump.
        """
        if found.dump_sha256 is None:
            raise CannotReplayError(f"Evaluation {found.id} was made of no dump.")
        return cls(
            found.settings,
            found.dump_sha256,
            found.tier,
            found.kind,
            found.generation_model,
            found.benchmark_judge_model,
        )

    def steps(self) -> list[tuple[Step, Any]]:
        """Return the steps that lead to it, each with its key.

        Raises:
            CannotReplayError: it is of no generation model.
        """
        if self.generation_model is None:
            raise CannotReplayError(f"Tier {self.tier} {self.kind} is of no generation model.")
        every = [step for step in registry.steps() if step.tier == self.tier]
        answers = next(step for step in every if step.kind == "answers")
        found: list[tuple[Step, Any]] = []
        if "tier1_retrieval" in answers.reads:
            found.append((registry.step_named("tier1_retrieval"), None))
        found.append((answers, self.generation_model))
        if self.kind != "answers":
            by = Axis.PAIR if self.judge else Axis.GENERATOR
            scoring = next((s for s in every if s.kind == self.kind and s.by == by), None)
            if scoring is None:
                raise CannotReplayError(f"Tier {self.tier} has no step for {self.kind}.")
            pair = (self.generation_model, self.judge)
            found.append((scoring, pair if self.judge else self.generation_model))
        return found


@contextmanager
def replayed(
    engine: Engine,
    wanted: Conditions,
    *,
    only: Collection[str] | None = None,
    replicate: int = 0,
    corner: bool = False,
    run_id: str | None = None,
) -> Iterator[Bench]:
    """Open the bench of these conditions; prompts are the wanted ones within the block.

    Args:
        engine: the database.
        wanted: the conditions.
        only: ids of the only questions; None: all.
        replicate: the number of the first repeat: other than 0, all answers are drawn anew.
        corner: what is measured is shown nowhere by itself.
        run_id: the Dagster run, for the records.

    Raises:
        CannotReplayError: encoder, retriever, dump or prompts are not there as they were.
    """
    settings = wanted.settings
    snapshot = snapshots.get_snapshot(engine, wanted.dump)
    if snapshot is None:
        raise CannotReplayError(f"The dump {wanted.dump[:12]} is not in this store.")
    with ExitStack() as stack:
        if settings["prompt_hash"] != prompt_hash(MEASURED_PROMPTS):
            texts = prompt_texts(engine, settings["prompt_hash"])
            if texts is None:
                raise CannotReplayError(
                    f"The texts of the prompts {settings['prompt_hash'][:12]} were not stored when "
                    "they were asked by; measure that side again by its own version."
                )
            stack.enter_context(prompts_as(texts))
        bench = open_bench(
            engine,
            get_settings(),
            _fields(settings),
            snapshot,
            datasets.get_dataset(engine, settings["dataset_id"]),
            run_id=run_id,
            only=only,
            replicate=replicate,
            corner=corner,
        )
        _same(bench, settings)
        yield bench


def _fields(settings: Mapping[str, Any]) -> BenchmarkFields:
    given = {name: settings[name] for name in _FIELDS if name in settings}
    name = name_in(settings)
    search = {"search": _search_word(settings["search"])} if name == DEFAULT else {}
    return BenchmarkFields(retriever=name, pairs=settings.get("pairs") or "", **{**given, **search})


def _search_word(stored: str) -> str:
    return stored if stored in get_args(Search) else ""


def _same(bench: Bench, settings: Mapping[str, Any]) -> None:
    mine = {k: v for k, v in bench.run.as_json().items() if k not in _NO_CONDITION}
    wanted = {k: v for k, v in settings.items() if k not in _NO_CONDITION}
    if mine != wanted:
        unlike = sorted(k for k in mine.keys() | wanted.keys() if mine.get(k) != wanted.get(k))
        raise CannotReplayError(
            f"It cannot be measured under those settings here: {', '.join(unlike)} "
            f"{'differs' if len(unlike) == 1 else 'differ'} from what this environment gives."
        )


async def measure(bench: Bench, models: Models, wanted: Conditions) -> StoredEvaluation:
    """Measure, step by step, what the conditions name; what is there already is found.

    Calls of models are numbered from the bench's replicate.

    Raises:
        CannotReplayError: a step has nothing to measure, or something must run first.
    """
    found: dict[str, StoredEvaluation] = {}
    for step, key in wanted.steps():
        with fresh_replicates(bench.run.replicate if step.pays else 0):  # a search is no draw
            await _step(bench, models, step, key, found)
    return found[wanted.steps()[-1][0].asset]


async def _step(
    bench: Bench, models: Models, step: Step, key: Any, found: dict[str, StoredEvaluation]
) -> None:
    work = registry.resolve(step.work)

    def tasks() -> list[Task[Any]]:
        planned = work(bench, models, step, [key])
        for one in planned:
            if isinstance(one, (Nothing, Blocked)):
                raise CannotReplayError(one.why)
        return list(planned)

    def done(_: Task[Any], stored: StoredEvaluation) -> None:
        found[step.asset] = stored

    if step.asks(bench, [key]):
        await evaluate(bench, models, tasks(), done, step.asset)
        return
    try:
        await evaluate_here(bench, tasks(), done, step.asset)
    except MissingVectorsError:
        bench.searched.embed(passage_texts(bench), "encoding chunks")
        await evaluate_here(bench, tasks(), done, step.asset)


async def count(
    bench: Bench, models: Models, walk: Walk, wanted: Conditions, *, look: bool = False
) -> None:
    """Count what `measure` would ask, on a plan's walk; what is free is done, so that it is known.

    ``models``: anything, as what is free asks nobody. ``look``: nothing is done, not even that.

    Raises:
        NotLookedUpError: with ``look``, something free is not stored, so the rest is not known.
    """
    for step, key in wanted.steps():
        if not step.asks(bench, [key]):
            if look:
                _stored(bench, models, step, key)
            else:
                await _step(bench, models, step, key, {})
            continue
        with fresh_replicates(bench.run.replicate if step.pays else 0):
            await walk.through(step, [key])


def _stored(bench: Bench, models: Models, step: Step, key: Any) -> None:
    for task in registry.resolve(step.work)(bench, models, step, [key]):
        if isinstance(task, (Nothing, Blocked)):
            raise CannotReplayError(task.why)
        if find(bench, task) is None:
            raise NotLookedUpError(f"{step.asset} of this combination is not stored yet")


def mixed(a: Conditions, b: Conditions, from_b: Collection[str]) -> Conditions:
    """Return the conditions of ``a`` with what ``from_b`` names as in ``b``.

    Names: those of `FACTORS`.
    """
    settings = dict(a.settings)
    made: dict[str, Any] = {}
    for name in from_b:
        for key in _keys_of(name, a.settings, b.settings):
            settings.pop(key, None)
            if key in b.settings:
                settings[key] = b.settings[key]
        if name == "dump":
            made["dump"] = b.dump
        if name == "model":
            made["generation_model"] = b.generation_model
        if name == "judge":
            made["judge"] = b.judge
    return replace(a, settings=settings, **made)


#: What can be told apart: by name the settings that belong to it.
FACTORS: Mapping[str, Sequence[str]] = {
    "prompt": ("prompt_hash",),
    "model": (),
    "judge": ("judge_eval_mode", "tier3_all_rubrics"),
    "dump": ("corpus_hash",),
    "retriever": (
        *("retriever", "retriever_name", "search", "top_k", "contexts_per_answer"),
        "retrieval_threshold",
    ),
    "settings": ("consistency_runs", "cached_answers", "cache_threshold"),
}


def _keys_of(name: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return [key for key in FACTORS[name] if key in a or key in b]


def factors_of(a: Conditions, b: Conditions) -> list[str]:
    """Return, by the names of `FACTORS`, in what two conditions differ."""
    found = []
    for name, keys in FACTORS.items():
        unlike = any(a.settings.get(key) != b.settings.get(key) for key in keys)
        own = {
            "dump": a.settings.get("corpus_hash") != b.settings.get("corpus_hash"),
            "model": a.generation_model != b.generation_model,
            "judge": a.judge != b.judge,
        }.get(name, False)
        if unlike or own:
            found.append(name)
    return found
