"""Tier judge offline: what is wrong with a judge shows, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from small_world import World
from world_data import GOLD, PAIRS

from rag_bench.errors import RagBenchError
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.transport.client import ChatModels
from rag_bench.resources import BenchmarkResource
from rag_bench.simulator.answer_key import answer_key_from_database
from rag_bench.simulator.app import Simulator
from rag_bench.simulator.models import Judge
from rag_bench.simulator.roster import DEFAULT_MODELS, Catalogue
from rag_bench.simulator.transport import simulator_transport
from rag_bench.store import evaluations
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.evaluations import StoredEvaluation
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import evaluate
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.judges import judge_sample
from rag_bench.tiers.judges.benchmark_judge import (
    NEVER_CHECKED,
    asks_of,
    examination,
    sample_of,
)
from rag_bench.tiers.judges.judge_sample import MOST_QUESTIONS, Sample, most_calls
from rag_bench.tiers.registry import step_named

ORACLE = Judge("oracle", 1.0, 1.0, bias=0.0, noise=0.0, variation=0.0, unreadable=0.0)
#: Judges that know the truth and have one fault each.
FAULTY = (
    ORACLE,
    replace(ORACLE, name="places", position_bias=0.5),
    replace(ORACLE, name="last", position_bias=-0.7),
    replace(ORACLE, name="longwinded", length_bias=0.6),
    replace(ORACLE, name="curt", length_bias=-0.5),
    replace(ORACLE, name="pretty", style_bias=0.5),
    replace(ORACLE, name="moody", noise=0.5, variation=1.0, sensitivity=0.7, specificity=0.7),
    replace(ORACLE, name="kind", specificity=0.4),
    replace(ORACLE, name="broken", unreadable=0.3),
    replace(ORACLE, name="yes", specificity=0.0),
)


class Examined:
    """The tier over a world of its own, with any simulated judges."""

    def __init__(self, world: World, catalogue: Catalogue, **benchmark: Any) -> None:
        self.bench: Bench = BenchmarkResource(**benchmark).open(world.engine, None)
        self.simulator = Simulator(answer_key_from_database(world.engine), catalogue=catalogue)
        self.url = world.url

    def __call__(self, sample: Sample, judges: Sequence[str]) -> dict[str, StoredEvaluation]:
        done: dict[str, StoredEvaluation] = {}

        async def run() -> None:
            providers = Providers.from_environment({})
            transports = {"simulator": lambda: simulator_transport(self.simulator)}
            async with ChatModels(providers, self.url, transports=transports) as chat:
                models = Models(chat, providers, 16)
                keys = [f"simulator/{judge}" for judge in judges]
                tasks = [
                    examination(
                        self.bench, models, step_named("benchmark_judge_quality"), sample, key
                    )
                    for key in keys
                ]
                await evaluate(
                    self.bench, models, tasks, lambda task, it: done.update({task.key: it}), ""
                )

        asyncio.run(run())
        return {key.removeprefix("simulator/"): found for key, found in done.items()}


def value(evaluation: StoredEvaluation, name: str) -> Any:
    return evaluation.metrics[name]["value"]


def interval(evaluation: StoredEvaluation, name: str) -> tuple[float, float]:
    metric = evaluation.metrics[name]
    return metric["ci_low"], metric["ci_high"]


@pytest.fixture(scope="module")
def module_world(
    server: Any, free_part: Any, world_data: Any, quick_encoder: None, tmp_path_factory: Any
) -> Iterator[World]:
    from small_world import opened_world

    reports = tmp_path_factory.mktemp("reports")
    with opened_world(server, free_part.database, world_data, reports) as world:
        yield world


@pytest.fixture(scope="module")
def examined(module_world: World) -> Examined:
    return Examined(module_world, Catalogue((*DEFAULT_MODELS, *FAULTY)))


@pytest.fixture(scope="module")
def sample(module_world: World, examined: Examined) -> Sample:
    return sample_of(examined.bench, examined.bench.pairs)


@pytest.fixture(scope="module")
def found(examined: Examined, sample: Sample) -> dict[str, StoredEvaluation]:
    return examined(sample, [judge.name for judge in FAULTY])


def test_the_sample_is_what_it_says(sample: Sample, examined: Examined) -> None:
    labelled = [t for t in sample.triples if t.kind == "labelled"]
    assert [t.good for t in labelled].count(True) == len(PAIRS) / 2 == len(labelled) / 2
    references = {question: reference for question, reference, _ in GOLD}
    page_of = {item.question: item.cluster for item in examined.bench.items}
    asked_of = {reference: question for question, reference, _ in GOLD}
    constructed = [t for t in sample.triples if t.kind == "constructed"]
    assert len(constructed) == 2 * len(GOLD)
    for triple in constructed:
        assert (triple.answer == references[triple.question]) is triple.good
        if not triple.good:
            assert page_of[asked_of[triple.answer]] != page_of[triple.question]
    kinds = [pair.kind for pair in sample.pairs]
    assert kinds.count("mismatched") == len(GOLD)
    long = [reference for reference in references.values() if len(reference.split()) >= 6]
    assert kinds.count("halved") == len(long) < len(GOLD)
    asks = asks_of(sample)
    assert len({(ask.subject.case_id, ask.what, ask.repeat) for ask in asks}) == len(asks)
    assert len(asks) == sample.n_calls <= most_calls(len(PAIRS), len(GOLD))
    assert most_calls(len(PAIRS), len(GOLD)) - sample.n_calls == 2 * (len(GOLD) - len(long))


def test_a_judge_that_knows_the_truth_is_clean(found: Mapping[str, StoredEvaluation]) -> None:
    oracle = found["oracle"]
    assert oracle.status == "succeeded"
    for name in ("consistency_score", "repeat_exact_agreement", "position_consistency"):
        assert value(oracle, name) == 1, name
    for prefix in ("label", "constructed"):
        for name in ("sensitivity", "specificity", "balanced_accuracy", "kappa", "auc"):
            assert value(oracle, f"{prefix}_{name}") == 1, (prefix, name)
    for name in ("error_rate", "decision_flip_rate", "repeat_mean_abs_difference"):
        assert value(oracle, name) == 0, name
    for perturbation in ("length", "style"):
        assert value(oracle, f"{perturbation}_sensitivity") == value(
            oracle, f"{perturbation}_sensitivity_abs"
        )
        assert value(oracle, f"{perturbation}_sensitivity") == 0
    assert value(oracle, "first_position_rate") == 0.5
    assert value(oracle, "preference_accuracy_mismatched") == 1
    assert value(oracle, "score_collapse") < 0.9
    assert value(oracle, "n_label_answers") == len(PAIRS)
    assert value(oracle, "avg_latency_ms") >= 0
    assert oracle.inputs["checked_against_people"] is True
    assert "remark" not in oracle.inputs


@pytest.mark.parametrize("judge", FAULTY[1:3], ids=lambda judge: judge.name)
def test_a_bias_for_a_place_shows_and_nothing_else(
    judge: Judge, found: Mapping[str, StoredEvaluation], sample: Sample
) -> None:
    seen, oracle = found[judge.name], found["oracle"]
    # Drawn per pair: the place wins both orders, or the truth does.
    low, high = interval(seen, "position_consistency")
    assert low < 1 - abs(judge.position_bias) < high
    biased = 1 - value(seen, "position_consistency")
    n, ties = len(sample.pairs), round(value(oracle, "tie_rate") * 2 * len(sample.pairs))
    assert ties == 0
    sign = 1 if judge.position_bias > 0 else -1
    assert value(seen, "first_position_rate") == pytest.approx(0.5 + sign * biased / 2)
    low, high = interval(seen, "first_position_rate")
    assert low > 0.5 if judge.position_bias > 0 else high < 0.5
    assert n > 20
    _like_the_oracle(seen, oracle, ("label_kappa", "length_sensitivity", "style_sensitivity"))


@pytest.mark.parametrize("judge", FAULTY[3:6], ids=lambda judge: judge.name)
def test_a_bias_for_a_dress_shows_and_nothing_else(
    judge: Judge, found: Mapping[str, StoredEvaluation], module_world: World
) -> None:
    seen, oracle = found[judge.name], found["oracle"]
    bias = judge.length_bias or judge.style_bias
    perturbation, other = ("length", "style") if judge.length_bias else ("style", "length")
    moved = [
        case.scores[perturbation] - case.scores["rubric_faithfulness"]
        for case in evaluations.cases_of(module_world.engine, seen.id)
        if perturbation in case.scores
        # At the end of the scale there is nowhere to go.
        and case.scores["rubric_faithfulness"] != (5 if bias > 0 else 1)
    ]
    assert len(moved) >= 10
    assert set(moved) == {0, 1 if bias > 0 else -1}
    share = sum(abs(step) for step in moved) / len(moved)
    # Within three standard errors of what is stated; the draws are fixed.
    assert abs(share - abs(bias)) < 3 * (abs(bias) * (1 - abs(bias)) / len(moved)) ** 0.5
    total = sum(moved) / (2 * len(GOLD) + len(PAIRS))
    assert value(seen, f"{perturbation}_sensitivity") == pytest.approx(total, abs=1e-6)
    assert value(seen, f"{perturbation}_sensitivity_abs") == pytest.approx(abs(total), abs=1e-6)
    low, high = interval(seen, f"{perturbation}_sensitivity")
    assert low > 0 if bias > 0 else high < 0
    assert seen.metrics[f"{perturbation}_sensitivity"]["n_scored"] == 2 * len(GOLD) + len(PAIRS)
    _like_the_oracle(seen, oracle, ("label_kappa", f"{other}_sensitivity", "consistency_score"))


def _like_the_oracle(
    seen: StoredEvaluation, oracle: StoredEvaluation, names: Sequence[str]
) -> None:
    for name in (*names, "error_rate", "constructed_auc"):
        assert seen.metrics[name] == oracle.metrics[name], name


def test_a_judge_of_moods_disagrees_with_itself(found: Mapping[str, StoredEvaluation]) -> None:
    moody = found["moody"]
    assert value(moody, "consistency_score") < 0.8
    assert value(moody, "decision_flip_rate") > 0.1
    assert value(moody, "repeat_mean_abs_difference") > 0.3
    assert value(moody, "constructed_kappa") < 0.8


def test_a_kind_judge_is_found_out_by_both_kinds_of_labels(
    found: Mapping[str, StoredEvaluation],
) -> None:
    kind = found["kind"]
    for prefix in ("label", "constructed"):
        assert value(kind, f"{prefix}_sensitivity") == 1
    # Called good only if it is good by two rubrics that each err with 0.6.
    low, high = interval(kind, "constructed_specificity")
    assert low < 1 - 0.6**2 < high


def test_a_judge_that_says_yes_to_all_collapses(found: Mapping[str, StoredEvaluation]) -> None:
    yes = found["yes"]
    assert value(yes, "label_specificity") == value(yes, "constructed_specificity") == 0
    assert value(yes, "constructed_kappa") == 0
    assert value(yes, "score_share_1") == value(yes, "score_share_2") == 0


def test_failed_replies_are_counted_and_never_scored(
    found: Mapping[str, StoredEvaluation], sample: Sample, module_world: World
) -> None:
    broken = found["broken"]
    n = sample.n_calls
    failed = round(value(broken, "error_rate") * n)
    assert broken.metrics["error_rate"]["n_scored"] == n
    # Three of ten replies cannot be read; of the second tries as many. An empty reply, one of five
    # to eight kinds, is not asked about.
    asked_again = value(broken, "asked_again_rate")
    assert 0.3 * 4 / 5 - 0.1 < asked_again < 0.3 + 0.1
    least, most = 0.3 * (1 / 8 + 7 / 8 * 0.3), 0.3 * (1 / 5 + 4 / 5 * 0.3)
    noise = 4 * (most * (1 - most) / n) ** 0.5
    assert least - noise < failed / n < most + noise
    low, high = interval(broken, "error_rate")
    assert low < failed / n < high
    assert broken.status == "partial"
    assert broken.metrics["avg_latency_ms"]["n_scored"] == n - failed
    whole = broken.metrics["score_share_5"]
    assert whole["n_scored"] < whole["n_expected"]
    cases = evaluations.cases_of(module_world.engine, broken.id)
    said = sum(
        name.startswith("rubric_") or name in ("length", "style", "better_first", "better_second")
        for case in cases
        for name in case.scores
    )
    assert said == n - failed
    coded = sum(case.error_code is not None for case in cases)
    assert sum(broken.errors.values()) == coded <= failed
    assert set(broken.errors) <= {"METRIC_ERROR", "LLM_FAILED"}
    # What it did say was right, so only the counts differ.
    assert value(broken, "constructed_auc") == 1
    assert broken.metrics["constructed_auc"]["n_scored"] < 2 * len(GOLD)
    assert broken.metrics["first_position_rate"]["value"] == 0.5


def test_the_offline_judges_are_told_apart(examined: Examined, sample: Sample) -> None:
    names = ("sharp", "generous", "moody", "blind")
    found = examined(sample, [f"sim-judge-{name}" for name in names])
    sharp, generous, moody, blind = (found[f"sim-judge-{name}"] for name in names)
    assert value(sharp, "first_position_rate") == 0.5
    assert value(sharp, "length_sensitivity") == value(sharp, "style_sensitivity") == 0
    assert value(sharp, "position_consistency") == 1
    for name in ("consistency_score", "constructed_auc", "label_kappa"):
        assert value(sharp, name) > value(blind, name), name
    assert interval(generous, "length_sensitivity")[0] > 0
    assert value(generous, "position_consistency") == 1
    assert interval(moody, "first_position_rate")[0] > 0.5
    assert interval(blind, "first_position_rate")[1] < 0.5


def test_a_rerun_asks_nothing(examined: Examined, sample: Sample, found: Any) -> None:
    before = examined.simulator.stats()
    assert before["repeated"] == 0
    again = examined(sample, [judge.name for judge in FAULTY])
    assert examined.simulator.stats() == before
    assert all(evaluation.reused for evaluation in again.values())
    assert {name: e.id for name, e in again.items()} == {name: e.id for name, e in found.items()}


def test_a_lost_evaluation_is_made_from_the_ledger(
    examined: Examined, sample: Sample, found: Mapping[str, StoredEvaluation]
) -> None:
    before = examined.simulator.stats()
    # Another label is another input, and no other request.
    other = replace(sample, triples=[replace(t, good=not t.good) for t in sample.triples])
    turned = examined(other, ["oracle"])["oracle"]
    assert examined.simulator.stats() == before
    assert not turned.reused
    assert value(turned, "label_auc") == 0
    assert value(turned, "avg_latency_ms") == value(found["oracle"], "avg_latency_ms")


def test_without_labels_a_judge_says_that_it_was_never_checked(examined: Examined) -> None:
    sample = sample_of(examined.bench, None)
    oracle = examined(sample, ["oracle"])["oracle"]
    assert oracle.inputs["remark"] == NEVER_CHECKED
    assert oracle.inputs["checked_against_people"] is False
    assert value(oracle, "label_kappa") is None
    assert oracle.metrics["label_kappa"]["n_expected"] == 0
    assert value(oracle, "constructed_kappa") == 1


def test_reasoned_mode_keeps_the_reasoning(module_world: World, examined: Examined) -> None:
    reasoned = Examined(module_world, Catalogue(FAULTY), judge_eval_mode="reasoned", limit=5)
    sample = sample_of(reasoned.bench, None)
    assert len(sample.triples) == 10
    oracle = reasoned(sample, ["oracle"])["oracle"]
    assert value(oracle, "error_rate") == 0
    for case in evaluations.cases_of(module_world.engine, oracle.id):
        said = [name for name in case.scores if not name.startswith("reasoning_")]
        assert any(f"reasoning_{name}" in case.scores for name in said)


def test_the_sample_is_drawn_by_hash_and_bounded(
    module_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = module_world.engine
    bench: Bench = BenchmarkResource().open(engine, None)
    items = bench.items
    monkeypatch.setattr(judge_sample, "MOST_QUESTIONS", 5)
    monkeypatch.setattr(judge_sample, "MOST_LABELLED", 3)
    few = sample_of(bench, bench.pairs)
    assert few.n_labelled == 3
    chosen = {t.question for t in few.triples if t.kind == "constructed"}
    assert len(chosen) == 5
    assert chosen != {item.question for item in items[:5]}
    turned = save_dataset(engine, "turned", "manual", list(reversed(items)))
    other: Bench = BenchmarkResource(dataset=turned.id).open(engine, None)
    assert {t.question for t in sample_of(other, None).triples} == chosen
    assert most_calls(1000, 1000) == 6 * 3 + 16 * 5
    assert MOST_QUESTIONS == 30


def test_a_stated_answer_is_no_mismatch(module_world: World) -> None:
    engine = module_world.engine
    bench: Bench = BenchmarkResource().open(engine, None)
    one, two = (
        bench.items[0],
        next(item for item in bench.items if item.cluster != bench.items[0].cluster),
    )
    # A short answer that the first question's own chunk states as well.
    true_of_both = replace(two, item_id="short", reference_answer="25-е")
    made = save_dataset(engine, "short answers", "manual", [one, true_of_both])
    sample = sample_of(BenchmarkResource(dataset=made.id).open(engine, None), None)
    bad = [(t.question, t.answer) for t in sample.triples if not t.good]
    assert bad == [(two.question, one.reference_answer)]


def test_nothing_to_examine_on_is_said(module_world: World) -> None:
    engine = module_world.engine
    bare = save_dataset(engine, "bare", "manual", [Item("x", "Где мой чемодан?")])
    bench: Bench = BenchmarkResource(dataset=bare.id).open(engine, None)
    with pytest.raises(RagBenchError, match="nothing to examine judges on"):
        sample_of(bench, None)
