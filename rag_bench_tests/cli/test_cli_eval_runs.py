"""`rag-bench eval` against the served API: followed through cut connections, ended with a code."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from api_access import a_key
from api_runs import an_event, change
from command_line import RagBench
from compared_runs import a_scored_run, pages
from cutting_proxy import cutting
from local_provider import served
from sqlalchemy import Engine, text

from rag_bench.api.app import build

A, B = "0199aaaa", "0199bbbb"
FAITHFUL = "ragas_faithfulness"


def cases_of(folder: Path, answers: dict[int, str], n: int = 90) -> Path:
    """Write cases that bring their answers: that of the reference, but where another is given."""
    file = folder / f"cases_{len(answers)}.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number in range(n):
            right = f"Справку номер {number} выдаёт деканат в течение трёх рабочих дней."
            case = {
                "id": f"q{number}",
                "question": f"Как получить справку номер {number}?",
                "ground_truth_answer": right,
                "answer": answers.get(number, right),
                "contexts": ["Деканат выдаёт справки за три рабочих дня."],
                "lang": "ru",
            }
            out.write(json.dumps(case, ensure_ascii=False) + "\n")
    return file


@contextmanager
def service(engine: Engine, monkeypatch: pytest.MonkeyPatch, *, executes: bool) -> Iterator[str]:
    monkeypatch.setenv("RAG_BENCH_API_KEY", a_key(engine, ["read", "run"]))
    with served(build(engine, executes=executes), lifespan="on") as found:
        monkeypatch.setenv("RAG_BENCH_API_URL", found)
        yield found


@pytest.fixture
def url(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service that leaves runs as the test has stored them."""
    with service(engine, monkeypatch, executes=False) as found:
        yield found


@pytest.fixture
def executing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with service(engine, monkeypatch, executes=True) as found:
        yield found


def runs(engine: Engine, *, worse_every: int = 0, n: int = 80, status: str = "succeeded") -> None:
    """Store a run and one that names it as its baseline, with so many cases that fell."""
    cases = pages(n, 2, {FAITHFUL: [0.9, 0.8]})
    a_scored_run(engine, A, cases)
    now = [
        replace(case, scores={FAITHFUL: 0.2}) if worse_every and n % worse_every == 0 else case
        for n, case in enumerate(cases)
    ]
    a_scored_run(engine, B, now, baseline=A, status=status)
    with engine.begin() as connection:
        an_event(connection, B, "finished", status=status)


@pytest.mark.parametrize(
    ("worse_every", "n", "code", "said"),
    [
        (0, 80, 0, "no worse than the margin"),
        (4, 80, 1, "got worse"),
        (9, 10, 2, "would decide"),
    ],
)
def test_a_run_ends_with_what_the_comparison_says(
    engine: Engine, url: str, rag_bench: RagBench, worse_every: int, n: int, code: int, said: str
) -> None:
    runs(engine, worse_every=worse_every, n=n)
    ended = rag_bench("eval", "follow", B)
    assert (ended.code, "Traceback" in ended.err) == (code, False), ended
    assert said in ended.out
    found = json.loads(rag_bench("eval", "follow", B, "--json").out)
    assert found["comparison"]["n_pairs"] == 2 * n
    # Of a run without a baseline it is known that it ran.
    with engine.begin() as connection:
        an_event(connection, A, "finished", status="succeeded")
    assert rag_bench("eval", "follow", A).code == 0


def test_only_the_gates_metrics_decide(engine: Engine, url: str, rag_bench: RagBench) -> None:
    runs(engine, worse_every=4)
    assert rag_bench("eval", "follow", B, "--gate-metric", FAITHFUL).code == 1
    ended = rag_bench("eval", "follow", B, "--gate-metric", "no_such")
    assert ended.code == 3
    assert "metric: Neither side has a score by 'no_such'" in ended.err


def test_a_file_is_evaluated_and_held_against_the_run_before(
    executing: str, rag_bench: RagBench, tmp_path: Path
) -> None:
    """Sent, executed, followed, compared; a dropped connection starts nothing twice."""
    options = ("--metric", "chrf", "--metric", "rougeL_f", "--label", "build:17")
    before = cases_of(tmp_path, {})
    with cutting(executing, cuts=1, after=10) as proxy:
        ended = rag_bench("eval", "run", before, *options, "--url", proxy.url)
    assert ended.code == 0, ended
    [baseline] = json.loads(rag_bench("eval", "list", "--json").out)["runs"]
    assert (baseline["status"], baseline["labels"]) == ("succeeded", {"build": "17"})
    # The same again is no worse, whatever it is called.
    same = rag_bench("eval", "run", before, *options, "--baseline", baseline["run_id"])
    assert same.code == 0, same
    assert "no worse than the margin" in same.out
    worse = cases_of(tmp_path, dict.fromkeys(range(0, 90, 4), "Не знаю."))
    asked = (*options, "--baseline", baseline["run_id"], "--gate-metric", "rougeL_f", "--json")
    ended = rag_bench("eval", "run", worse, *asked)
    assert ended.code == 1, ended
    found = json.loads(ended.out)
    assert "regression_detected" in found["flags"]
    assert found["comparison"]["n_worse"] == 23
    assert {one["name"] for one in found["comparison"]["inputs"]} <= {"git_commit"}
    # A case that cannot be is refused as a whole, at its line.
    before.write_text(before.read_text() + '{"question": 7}\n')
    ended = rag_bench("eval", "run", before, *options)
    assert (ended.code, "line 91" in ended.err) == (3, True), ended.err


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_did_not_run_is_no_verdict(
    engine: Engine, url: str, rag_bench: RagBench, status: str
) -> None:
    runs(engine, status=status)
    assert rag_bench("eval", "follow", B).code == 3


def test_a_cut_connection_is_taken_up_again(engine: Engine, url: str, rag_bench: RagBench) -> None:
    """Events come while the proxy cuts; each is told once, and the end is heard."""
    runs(engine, worse_every=4)
    with engine.begin() as connection:
        change(connection, A, status="running")
        for done in range(1, 6):
            an_event(connection, A, "progress", label="answers", done=done, total=9)

    def go_on() -> None:
        time.sleep(1.0)
        for done in range(6, 10):
            with engine.begin() as connection:
                an_event(connection, A, "progress", label="answers", done=done, total=9)
        with engine.begin() as connection:
            change(connection, A, status="succeeded")
            an_event(connection, A, "finished", status="succeeded")

    worker = threading.Thread(target=go_on)
    worker.start()
    with cutting(url, cuts=2, after=500) as proxy:
        ended = rag_bench("eval", "follow", A, "--url", proxy.url)
        assert proxy.connections >= 3
    worker.join()
    assert ended.code == 0, ended
    told = [line.strip() for line in ended.err.splitlines() if "answers" in line]
    assert told == [f"answers: {done} of 9" for done in range(1, 10)]
    assert ended.err.count("finished") == 1


def test_what_cannot_be_run_says_why(
    engine: Engine,
    url: str,
    rag_bench: RagBench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = rag_bench("eval", "follow", "nothing")
    assert (ended.code, "HTTP 404 NOT_FOUND" in ended.err) == (3, True)
    ended = rag_bench("eval", "follow", A, "--key", "rb_wrong")
    assert (ended.code, "HTTP 401 INVALID_KEY" in ended.err) == (3, True)
    cases = tmp_path / "cases.json"
    cases.write_text("[]")
    ended = rag_bench("eval", "run", str(cases))
    assert (ended.code, "holds no request" in ended.err) == (3, True)
    for wrong in (
        ("run", tmp_path / "no such file"),
        ("run", cases, "--colour", "red"),
        ("run", cases, "--label", "nothing"),
        ("follow", A, "--url", "bench.example.org"),
    ):
        ended = rag_bench("eval", *wrong)
        assert (ended.code, "Traceback" in ended.err) == (3, False), wrong
    monkeypatch.delenv("RAG_BENCH_API_KEY")
    ended = rag_bench("eval", "follow", A)
    assert (ended.code, "There is no key" in ended.err) == (3, True)


def test_runs_are_listed_and_shown(engine: Engine, url: str, rag_bench: RagBench) -> None:
    runs(engine)
    listed = rag_bench("eval", "list")
    assert (listed.code, listed.out.index(B) < listed.out.index(A)) == (0, True)
    found = json.loads(rag_bench("eval", "list", "--json", "--limit", "1").out)
    assert [one["run_id"] for one in found["runs"]] == [B]
    assert json.loads(rag_bench("eval", "show", B).out)["baseline"] == A
    assert "HTTP 404" in rag_bench("eval", "show", "nothing").one_line()


def test_runs_are_compared_on_the_command_line(engine: Engine, rag_bench: RagBench) -> None:
    runs(engine, worse_every=4)
    ended = rag_bench("compare", A, B)
    assert (ended.code, "run 0199bbbb against run 0199aaaa: got worse" in ended.out) == (0, True)
    assert rag_bench("compare", A, B, "--exit-code").code == 1
    assert rag_bench("compare", A, "x", "--exit-code").code == 3
    assert rag_bench("compare", B, A, "--exit-code", "--metric", FAITHFUL).code == 0
    found = json.loads(rag_bench("compare", A, B, "--json", "--margin", f"{FAITHFUL}=0.3").out)
    assert found["metrics"][0]["margin"] == 0.3
    assert "no measured model 'x'" in rag_bench("compare", A, "x").one_line()
    for wrong in ("-1", "inf", "nan", "=0.3", f"{FAITHFUL}=inf"):
        said = rag_bench("compare", A, B, "--margin", wrong).one_line()
        assert "neither a positive number" in said
    assert "is at most 1" in rag_bench("compare", A, B, "--margin", "5").one_line()
    for mistyped, code in ((("--exit-code",), 3), ((), 2)):
        assert rag_bench("compare", A, B, "--colour", "red", *mistyped).code == code
    slip = rag_bench("compare", A, B, "--margin", "ragas_faithfullness=0.3").one_line()
    assert "Neither side has a score by 'ragas_faithfullness'" in slip


def test_a_gate_ends_with_its_outcome(engine: Engine, rag_bench: RagBench, tmp_path: Path) -> None:
    runs(engine, worse_every=4)
    rules = tmp_path / "rules.toml"
    rules.write_text(f'[critical]\n{FAITHFUL} = "default"\n')
    ended = rag_bench("gate", A, B, "--policy", rules)
    assert (ended.code, "The gate: failed." in ended.out) == (1, True)
    found = json.loads(rag_bench("gate", B, A, "--policy", rules, "--json").out)
    assert (found["outcome"], found["metrics"][0]["class"]) == ("passed", "critical")
    missing = rag_bench("gate", A, B)
    assert (missing.code, "gate.toml cannot be read" in missing.err) == (3, True)
    rules.write_text('[critical]\nno_such = "default"\n')
    assert rag_bench("gate", A, B, "--policy", rules).code == 3


def test_a_disk_or_a_database_that_fails_is_told_in_a_line(
    engine: Engine, rag_bench: RagBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(engine)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RAG_BENCH_EVAL_RESULTS", str(tmp_path / "file" / "results"))
    assert "Not a directory" in rag_bench("eval", "export", A).one_line()

    def ends_at_work(engine: Engine, *_: object) -> None:
        with engine.connect() as connection:
            connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))

    monkeypatch.setattr("rag_bench.reporting.compared.comparing.compare", ends_at_work)
    assert "stopped at work" in rag_bench("compare", A, B).one_line()
    assert rag_bench("compare", A, B, "--exit-code").code == 3
