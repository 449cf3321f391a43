"""``rag-bench label``: drawing, labelling by hand and by file, agreement, what follows from it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from command_line import RagBench
from labelled_world import METRIC, MODELS, LabelledWorld, labelled_world
from sqlalchemy import Engine

FIRST, SECOND = list(MODELS)[:2]


@pytest.fixture
def world(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> LabelledWorld:
    monkeypatch.setenv("BENCHMARK_RUN_AUTHOR", "ann")
    return labelled_world(engine, 90, [FIRST, SECOND])


def _lines(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def _fill(path: Path, world: LabelledWorld, model: str, wrong: int = 0) -> None:
    """Fill in a sheet as a person would: the truth, but for the first so many cases."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    for place, row in enumerate(rows):
        row["value"] = "3" if place < wrong else str(world.truth[model][row["case_id"]])
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_from_a_draw_to_corrected_scores(
    rag_bench: RagBench, world: LabelledWorld, tmp_path: Path
) -> None:
    listed = _lines(rag_bench("label", "evaluations", "--json").out)
    assert [row["generation_model"] for row in listed] == [SECOND, FIRST]
    assert listed[0]["judges"] == ["house/lenient"]
    evaluation = str(world.scores[FIRST])
    drawn = rag_bench(
        "label", "draw", evaluation, "--size", "40", "--annotator", "ann", "--annotator", "bob"
    )
    assert "40 of 90 answers" in drawn.out, drawn
    plan = _lines(rag_bench("label", "plan", evaluation, "--json").out)
    assert plan[0]["n_missing"] == 30
    assert all(one["assumed"] for one in plan[0]["narrowings"])
    for who, wrong in (("ann", 0), ("bob", 5)):
        sheet = tmp_path / f"{who}.csv"
        made = rag_bench("label", "sheet", "1", "--annotator", who, "-o", sheet)
        assert "40 cases" in made.out, made
        assert FIRST not in sheet.read_text(encoding="utf-8"), "blind to the model's name"
        _fill(sheet, world, FIRST, wrong)
        assert rag_bench("label", "import", sheet).out.startswith("40 labels stored.")
    found = json.loads(rag_bench("label", "agreement", "1", "--json").out)
    assert found["annotators"] == {"ann": 40, "bob": 40}
    assert 0 < found["pairs"][0]["kappa"]["value"] < 1
    assert found["pairs"][0]["kappa"]["ci_low"] is not None
    waiting = [one for one in found["disputes"] if one["settled"] is None]
    assert len(waiting) == 5
    assert waiting[0]["case_id"] in rag_bench("label", "agreement", "1").out
    before = _lines(rag_bench("label", "corrected", "--json").out)
    for one in waiting:
        case = one["case_id"]
        value = world.truth[FIRST][case]
        assert rag_bench("label", "settle", "1", case, value, "--annotator", "lead").code == 0
    assert not [
        one
        for one in json.loads(rag_bench("label", "agreement", "1", "--json").out)["disputes"]
        if one["settled"] is None
    ]
    after = {
        row["generation_model"]: row
        for row in _lines(rag_bench("label", "corrected", "--json").out)
    }
    assert after[FIRST]["method"] == "prediction_powered"
    assert (before[0]["n_disputed"], after[FIRST]["n_disputed"]) == (5, 0)
    mean = after[FIRST]["mean"]
    assert mean["ci_low"] <= world.true_mean(FIRST) <= mean["ci_high"]
    assert after[SECOND]["method"] is None, "40 labels of another model are too few bad ones"
    assert "house/lenient" in rag_bench("label", "corrected").out
    [calibrated] = _lines(rag_bench("label", "calibration", "--json").out)
    assert calibrated["n_labels"] == 40
    assert set(calibrated["by_language"]) == {"ru", "en"}
    assert "sensitivity" in rag_bench("label", "calibration").out
    assert "corrected mean" in rag_bench("label", "plan", evaluation).out


def test_labels_go_out_and_in_and_nothing_is_lost(
    rag_bench: RagBench, world: LabelledWorld, tmp_path: Path
) -> None:
    rag_bench("label", "draw", str(world.answers[FIRST]), "--size", "10")
    case = json.loads(rag_bench("label", "draws", "--json").out)
    assert case["n_labelled"] == 0
    shown = rag_bench("label", "next", "1")
    assert "-- question" in shown.out
    assert "house/" not in shown.out
    case_id = shown.out.split("Case ")[1].split()[0]
    assert rag_bench("label", "add", "1", case_id, "2").code == 0
    assert rag_bench("label", "add", "1", case_id, "5", "--note", "=да, решена").code == 0
    for form in ("csv", "jsonl"):
        out = tmp_path / f"labels.{form}"
        assert "2 labels" in rag_bench("label", "export", "--history", "-o", out).out
        again = rag_bench("label", "import", out)
        assert again.out.strip() == "0 labels stored, 2 were there already."
    assert "1 labels" in rag_bench("label", "export", "-o", tmp_path / "now.csv").out
    assert "1" in rag_bench("label", "draws").out


def test_nothing_of_a_bad_file_is_stored(
    rag_bench: RagBench, world: LabelledWorld, tmp_path: Path
) -> None:
    good = {
        "evaluation_id": world.answers[FIRST],
        "case_id": "q001",
        "metric": METRIC,
        "value": 4,
        "annotator": "ann",
    }
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "case_id": "nowhere"}))
    failed = rag_bench("label", "import", path)
    assert failed.code == 1
    assert "bad.jsonl, line 2, column case_id" in failed.err
    assert "Nothing was stored" in failed.err
    assert "0 labels" in rag_bench("label", "export", "-o", tmp_path / "all.csv").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("draw", "999"), "There is no evaluation 999"),
        (("draw", "1", "--metric", "bleu"), "'bleu' cannot be labelled"),
        (("draw", "1", "--guideline", "none"), "There is no guideline 'none'"),
        (("draw", "1", "--purpose", "fun"), "--purpose is check or tune"),
        (("next", "7"), "There is no draw 7"),
        (("add", "7", "q1", "9"), "There is no draw 7"),
        (("import", "nowhere.csv"), "nowhere.csv"),
        (("export", "-o", "labels.txt"), "neither in .csv nor in .jsonl"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    rag_bench: RagBench, world: LabelledWorld, arguments: tuple[str, ...], message: str
) -> None:
    failed = rag_bench("label", *arguments)
    assert failed.code == 1
    assert message in failed.err
    assert "Traceback" not in failed.err


def test_guidelines_have_versions(
    rag_bench: RagBench, world: LabelledWorld, tmp_path: Path
) -> None:
    assert "Шкала" in rag_bench("label", "guideline", METRIC).out
    for text in ("One.", "Two."):
        (tmp_path / "g.md").write_text(text)
        assert rag_bench("label", "guideline", "house", "--file", tmp_path / "g.md").code == 0
    assert rag_bench("label", "guideline", "house").out.endswith("Two.\n")
    assert rag_bench("label", "guideline", "house", "--version", "1").out.endswith("One.\n")
    drawn = rag_bench("label", "draw", str(world.answers[FIRST]), "--guideline", "house")
    assert "guideline house 2" in " ".join(drawn.out.split())
    assert "house 1" in rag_bench("label", "guideline").out


def test_without_ratings_it_is_said(rag_bench: RagBench, world: LabelledWorld) -> None:
    assert "say nothing" in rag_bench("label", "users").out
    assert json.loads(rag_bench("label", "users", "--json").out)["annotator_kind"] == "user"
    assert "No judge scored" in rag_bench("label", "calibration").out
