"""Metrics of the user's on stored answers: functions, async ones, modules of HuggingFace's."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from evaluated import evaluated_here
from own_metrics_world import FUNCTIONS, GENERATORS, N
from small_world import World
from world_data import GOLD

from rag_bench.errors import ConfigurationError
from rag_bench.resources import BenchmarkResource
from rag_bench.settings import PROJECT_ROOT, Settings
from rag_bench.store import evaluations
from rag_bench.tiers.answers.earlier import answers_of
from rag_bench.tiers.registry import step_named
from rag_bench.tiers.users_metrics.custom_metrics import (
    ExtraMeasures,
    language_of,
    open_measures,
    tasks_with,
)
from rag_bench.tiers.users_metrics.metric_loading import load_metrics

EXAMPLES = PROJECT_ROOT / "docs" / "examples"


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """No network: who tries is found out. (The database is reached by libpq, not from Python.)"""
    tried: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        tried.append(arguments[-1])
        raise OSError("the network is cut")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return tried


def measures(text: str, **more: Any) -> ExtraMeasures:
    return open_measures(Settings(custom_metrics=text, **more))


def measure(
    world: World, extra: ExtraMeasures, tier: str = "3", models: Sequence[str] = GENERATORS[:1]
) -> list[evaluations.StoredEvaluation]:
    bench = BenchmarkResource().open(world.engine, None)
    found: list[evaluations.StoredEvaluation] = []
    asyncio.run(
        evaluated_here(
            bench,
            tasks_with(extra, bench, step_named(f"tier{tier}_custom_metrics"), models),
            lambda _, one: found.append(one),
        )
    )
    return found


def values(evaluation: evaluations.StoredEvaluation, name: str) -> tuple[Any, int, int]:
    metric = evaluation.metrics[name]
    return metric["value"], metric["n_scored"], metric["n_expected"]


# --- loading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no.such.package:f", "No module named 'no'"),
        ("rag_bench.hashing:no_such", "no_such"),
        ("rag_bench.hashing:content_hash", "asks for value"),
        ("rag_bench.evaluation.custom:SETTING", "not callable"),
        ("nothing-installed", "no installed metric of that name is in the group rag_bench.metrics"),
        ("./no/such/folder", "there is no"),
        ("{tmp}/none.py:f", "there is no"),
        ("{tmp}/broken.py:f", "SyntaxError"),
        ("{tmp}/leaves.py:f", "SystemExit: 3"),
        ("{tmp}/plain.py:nothing", "declares none of question, answer"),
        ("{tmp}/plain.py:scaled", "scale of"),
        ("{tmp}/plain.py", "one class derived from evaluate.Metric; it defines: none"),
        ("{tmp}/numbers.py", "Only texts can be given"),
        ("{tmp}/fetches.py", "wants to fetch https://example.org/weights.bin"),
        ("{tmp}", "name the file itself"),
    ],
)
def test_what_cannot_be_loaded_is_a_clear_error(
    tmp_path: Path, cut: list[Any], target: str, words: str
) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "plain.py").write_text(
        "def nothing():\n    return 1\n\n"
        "def scaled(answer):\n    return 1\n\nscaled.scale = (1, 0)\n"
    )
    module = (EXAMPLES / "reference_words.py").read_text(encoding="utf-8")
    (tmp_path / "numbers.py").write_text(module.replace('"string"', '"int32"'))
    (tmp_path / "fetches.py").write_text(
        module + "\n    def _download_and_prepare(self, dl_manager):\n"
        "        dl_manager.download_and_extract({'a': 'https://example.org/weights.bin'})\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        measures(f"own={target.format(tmp=tmp_path)}", home=tmp_path / "home")
    assert words in str(caught.value)
    assert cut == []


def test_an_installed_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tone_of_voice.py").write_text("def tone(answer):\n    return 0.5\n")
    info = tmp_path / "tone_of_voice-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tone-of-voice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rag_bench.metrics]\ntone = tone_of_voice:tone\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    [metric] = load_metrics(Settings(custom_metrics="own=tone"))
    assert metric.call({"answer": "да", "question": "?"}) == 0.5
    [dotted] = load_metrics(Settings(custom_metrics="own=tone_of_voice:tone"))
    assert dotted.source_hash == metric.source_hash


def test_a_changed_file_has_another_hash_and_runs_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "own_package_of_metrics.py"
    folder = tmp_path / "metric"
    folder.mkdir()
    file, neighbour = folder / "metric.py", folder / "part.py"
    file.write_text("from .part import VALUE\n\ndef f(answer):\n    return VALUE\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    targets = f"a=own_package_of_metrics:f; b={file}:f"
    seen = []
    for value in (1, 2, 1):  # same size, same second: compiled copies would not notice
        package.write_text(f"def f(answer):\n    return {value}\n")
        neighbour.write_text(f"VALUE = {value}\n")
        loaded = load_metrics(Settings(custom_metrics=targets))
        assert [metric.call({"answer": ""}) for metric in loaded][1] == value
        seen.append([metric.source_hash for metric in loaded])
    assert seen[0] == seen[2]
    assert not set(seen[0]) & set(seen[1])
    assert not (folder / "__pycache__").exists()


# --- on answers -------------------------------------------------------------------------------


def test_a_function_gets_what_it_declares(answered: World, functions: Path) -> None:
    extra = measures(f"seen={functions}:seen; late={functions}:late")
    [found] = measure(answered, extra)
    [module] = [m for m in sys.modules.values() if getattr(m, "__file__", "") == str(functions)]
    bench = BenchmarkResource().open(answered.engine, None)
    _, cases = answers_of(bench, "3", GENERATORS[0])
    chunks = bench.chunk_by_hash
    for item, call in zip(bench.items, module.calls, strict=True):
        case = cases[item.item_id]
        given = tuple(chunks[row["chunk_hash"]].text for row in case.retrieved)
        language = "en" if item.question.isascii() else "ru"
        assert call == (item.question, case.answer, item.reference_answer, given, language)
        assert len(given) == bench.run.contexts_per_answer

    assert found.status == "succeeded"
    assert found.kind == "custom"
    lengths = [len(question) for question, _, _ in GOLD]
    assert values(found, "seen") == (pytest.approx(sum(lengths) / N), N, N)
    assert found.metrics["seen"]["ci_low"] < sum(lengths) / N < found.metrics["seen"]["ci_high"]
    words = [len(cases[item.item_id].answer.split()) for item in bench.items]
    assert values(found, "late_words") == (pytest.approx(sum(words) / N), N, N)
    assert values(found, "late_never") == (None, 0, 0)

    # Done once; other contents of the file are other inputs.
    assert measure(answered, extra)[0].id == found.id
    functions.write_text(FUNCTIONS.replace("len(question)", "2 * len(question)"), encoding="utf-8")
    [changed] = measure(answered, measures(f"seen={functions}:seen; late={functions}:late"))
    assert changed.id != found.id
    assert values(changed, "seen")[0] == pytest.approx(2 * sum(lengths) / N)


def test_one_case_that_fails_harms_no_other(answered: World, functions: Path) -> None:
    text = f"picky={functions}:picky; late={functions}:late"
    [found] = measure(answered, measures(text))
    # One raises, one gives NaN, one a text, one does not apply.
    assert values(found, "picky") == (1, N - 4, N - 1)
    assert values(found, "late_words")[1:] == (N, N)
    assert found.status == "partial"
    assert found.errors == {"METRIC_ERROR": 3}
    assert not found.needs_retry
    cases = evaluations.cases_of(answered.engine, found.id)
    details = [case.error_detail for case in cases if case.error_code]
    assert details == [
        "picky: ValueError: не знаю, что сказать о Каког",
        "picky: it gave nan, which is no finite number",
        "picky: it gave str '0.5', which is no number",
    ]
    assert all("late_words" in case.scores for case in cases)
    # Not again, unless it is asked for.
    assert measure(answered, measures(text))[0].id == found.id


def test_what_leaves_hangs_or_raises_everywhere(answered: World, functions: Path) -> None:
    text = f"leaves={functions}:leaves; own={functions}:gives_up; good={functions}:seen"
    [found] = measure(answered, measures(text))
    assert values(found, "leaves") == values(found, "own") == (None, 0, N)
    assert values(found, "good")[1:] == (N, N)
    [case, *_] = evaluations.cases_of(answered.engine, found.id)
    assert case.error_code == "METRIC_ERROR"
    assert case.error_detail == "leaves: SystemExit: bye; own: TimeoutError: my own"

    bench = BenchmarkResource().open(answered.engine, None)
    bench.settings = bench.settings.model_copy(update={"call_timeout_seconds": 0.01})
    late: list[evaluations.StoredEvaluation] = []
    extra = measures(f"hangs={functions}:hangs")
    planned = tasks_with(extra, bench, step_named("tier3_custom_metrics"), GENERATORS[:1])
    asyncio.run(evaluated_here(bench, planned, lambda _, one: late.append(one)))
    assert late[0].errors == {"TIMEOUT": N}
    assert late[0].needs_retry


def test_an_answer_that_failed_and_a_question_without_a_reference(
    answered: World, tmp_path: Path
) -> None:
    file = tmp_path / "m.py"
    file.write_text(
        "def needs(answer, reference_answer):\n    return float(len(reference_answer) > 0)\n\n"
        "def copes(answer, reference_answer=None):\n    return float(reference_answer is None)\n"
    )
    bench = BenchmarkResource().open(answered.engine, None)
    found, _ = answers_of(bench, "3", GENERATORS[0])
    with answered.engine.begin() as connection:
        for number, code in ((0, "TIMEOUT"), (1, "LLM_FAILED")):
            connection.exec_driver_sql(
                "update rag_bench.evaluation_case set answer = null, error_code = %s, "
                "error_detail = 'as it was' where evaluation_id = %s and case_id = %s",
                (code, found.id, f"вопрос-{number:02}"),
            )
        # One that failed, and one that was answered, have no reference.
        connection.exec_driver_sql(
            "update rag_bench.dataset_item set reference_answer = null "
            "where item_id in ('вопрос-01', 'вопрос-02')"
        )
    [own] = measure(answered, measures(f"needs={file}:needs, copes={file}:copes"))
    assert values(own, "needs") == (1, N - 3, N - 2)
    assert values(own, "copes") == (pytest.approx(1 / (N - 2)), N - 2, N)
    assert own.errors == {"LLM_FAILED": 1, "TIMEOUT": 1}
    assert not own.needs_retry, "it is up to the answers"
    [case, *_] = evaluations.cases_of(answered.engine, own.id)
    assert (case.error_code, case.error_detail) == (
        "TIMEOUT",
        "no answer to measure: as it was",
    )


# --- modules of HuggingFace's -----------------------------------------------------------------


def test_a_module_of_huggingface_by_path_without_a_network(
    answered: World, tmp_path: Path, cut: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://nowhere.invalid:9")
    folder = tmp_path / "reference_words"
    folder.mkdir()
    shutil.copy(EXAMPLES / "reference_words.py", folder)
    module = (EXAMPLES / "reference_words.py").read_text(encoding="utf-8")
    # A list of references, as BLEU has; it raises for one question, and asks the hub for another.
    (tmp_path / "listed.py").write_text(
        module.replace('"references": text', '"references": datasets.Sequence(text)')
        .replace("for prediction, reference in", "for prediction, (reference,) in")
        .replace(
            "        shares = []\n",
            "        shares = []\n"
            "        if 'А-212' in references[0][0]:\n            raise KeyError('А-212')\n"
            "        if 'деньги' in references[0][0]:\n            evaluate.load('bleu')\n",
        ),
        encoding="utf-8",
    )
    home = tmp_path / "home"
    text = f"words={folder}#share; both={folder}; listed={tmp_path / 'listed.py'}#share"
    [found] = measure(answered, measures(text, home=home))
    bench = BenchmarkResource().open(answered.engine, None)
    _, cases = answers_of(bench, "3", GENERATORS[0])
    expected = {}
    for item in bench.items:
        wanted = set(str(item.reference_answer).lower().split())
        said = set(str(cases[item.item_id].answer).lower().split())
        expected[item.item_id] = len(wanted & said) / len(wanted)
    mean = sum(expected.values()) / N
    assert mean > 0
    assert values(found, "words") == values(found, "both_share") == (pytest.approx(mean), N, N)
    assert values(found, "both_n") == (1, N, N)
    assert values(found, "listed")[1:] == (N - 2, N)
    stored = {case.case_id: case for case in evaluations.cases_of(answered.engine, found.id)}
    assert {key: case.scores["words"] for key, case in stored.items()} == pytest.approx(expected)
    # The cases after the one that raised have their own values, not a mixture.
    for key, case in stored.items():
        if case.error_code is None:
            assert case.scores["listed"] == pytest.approx(expected[key])
    assert stored["вопрос-02"].error_detail == "listed: KeyError: 'А-212'"
    assert (stored["вопрос-01"].error_detail or "").startswith("listed: ")
    assert found.errors == {"METRIC_ERROR": 2}
    assert cut == [], "nothing even tried"
    assert not (Path.home() / ".cache/huggingface/metrics/reference_words").exists()


# --- the document -----------------------------------------------------------------------------


def test_the_documents_example_works_as_it_stands(
    answered: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (PROJECT_ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    for name in ("own_metrics.py", "reference_words.py"):
        assert (EXAMPLES / name).read_text(encoding="utf-8") in blocks, f"{name} is out of date"
    [setting] = re.findall(r'^RAG_BENCH_CUSTOM_METRICS="(.*)"$', text, flags=re.MULTILINE)
    monkeypatch.chdir(PROJECT_ROOT)
    [found] = measure(answered, measures(setting, home=tmp_path), tier="2")
    assert sorted(found.metrics) == ["backed", "length_of_reference", "length_words", "words"]
    assert found.status == "succeeded"
    # The extractive baseline invents no number; some answers have none.
    value, scored, expected = values(found, "backed")
    assert value == 1
    assert 0 < scored == expected < N
    assert found.metrics["backed"]["scale"] == [0, 1]
    assert found.metrics["length_words"].get("scale") is None


def test_language() -> None:
    from rag_bench.store.datasets import Item

    assert language_of(Item("1", "Как включить VPN?")) == "ru"
    assert language_of(Item("1", "How do I get in?")) == "en"
    assert language_of(Item("1", "Wie komme ich hinein?", details={"language": "de"})) == "de"
