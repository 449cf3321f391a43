"""Labelling on the dashboard: blind, by keyboard, by who may; kappa and scores follow."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_ui import until
from dashboard_browser import Dashboard, chromium
from dashboard_pages import shown
from labelled_world import JUDGE_KEY, METRIC, MODELS, SETTINGS, TIER, LabelledWorld, labelled_world
from local_provider import served
from selenium.webdriver.common.by import By
from sqlalchemy import Engine

from rag_bench.access.scopes import Scope
from rag_bench.dashboard.acting import Given, act
from rag_bench.dashboard.address import View
from rag_bench.dashboard.context import Context, Kept, Viewer
from rag_bench.dashboard.serving import local
from rag_bench.dashboard.words import Words
from rag_bench.settings import Settings
from rag_bench.source.label_files import Defaults, read_labels, write_csv
from rag_bench.store.access.audit import actions
from rag_bench.store.labels.agreeing import standing
from rag_bench.store.labels.draws import Draw, draw, get_draw
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.judged import corrections
from rag_bench.store.labels.labels import add_labels, current_labels
from rag_bench.store.labels.listing import sheet

pytestmark = pytest.mark.timeout(600)
FIRST = next(iter(MODELS))
ANN = Viewer("ann", frozenset({Scope.READ, Scope.LABEL}), trace_id="t")


@pytest.fixture
def world(engine: Engine) -> LabelledWorld:
    return labelled_world(engine, 90, [FIRST])


def _drawn(world: LabelledWorld, size: int = 40, annotators: tuple[str, ...] = ()) -> Draw:
    with world.engine.begin() as connection:
        guideline = keep_guideline(connection, METRIC, "Solved or not?")
    return draw(
        world.engine, world.answers[FIRST], METRIC, guideline, size=size, annotators=annotators
    )


def done(world: LabelledWorld, viewer: Viewer, name: str, **fields: str) -> str:
    view = View.parse("?tab=judges")
    context = Context(world.engine, Settings(), view, Words("en"), viewer, Kept())
    sent = json.dumps({"query": "?tab=judges", "act": name, "fields": fields})
    return str(act(context, Given.parse(sent)))


def test_the_page_is_blind_and_a_label_is_stored_audited_and_changed(world: LabelledWorld) -> None:
    made = _drawn(world)
    page = shown(world.engine, f"?tab=judges&draw={made.id}", ANN)
    first = made.cases_of("ann")[0]
    assert "Case 1 of 40" in page.text
    assert "Solved or not?" in page.text
    assert FIRST not in page.html
    assert JUDGE_KEY not in page.html
    assert 'data-act="label_case"' in page.html
    for value in ("2", "5"):
        told = done(world, ANN, "label_case", draw=str(made.id), case=first, value=value)
        assert f"is labelled {value} by ann" in told
    [row] = actions(world.engine, limit=1)
    assert (row.action, row.outcome, row.user_id) == ("dashboard label_case", "ok", "ann")
    [now] = current_labels(world.engine)
    assert (now.value, now.annotator, now.guideline) == (5, "ann", METRIC)
    page = shown(world.engine, f"?tab=judges&draw={made.id}", ANN)
    assert "Case 2 of 40" in page.text
    assert "1 of 40 cases are labelled" in page.text
    again = shown(world.engine, f"?tab=judges&draw={made.id}&case={first}", ANN)
    assert 'data-key="5" aria-pressed="true"' in again.html


def test_nobody_labels_in_anothers_name_and_without_the_scope_not_at_all(
    world: LabelledWorld,
) -> None:
    made = _drawn(world, annotators=("ann", "bob"))
    case = made.cases[0]
    fields = {"draw": str(made.id), "case": case, "value": "3"}
    done(world, ANN, "label_case", annotator="bob", **fields)
    assert [one.annotator for one in current_labels(world.engine)] == ["ann"]
    reader = Viewer("eve")
    assert "scope label" in shown(world.engine, f"?tab=judges&draw={made.id}", reader).text
    assert "label" in done(world, reader, "label_case", **fields)
    stranger = Viewer("eve", frozenset({Scope.READ, Scope.LABEL}))
    assert "is not for" in done(world, stranger, "label_case", **fields)
    assert "not by 'eve'" in shown(world.engine, f"?tab=judges&draw={made.id}", stranger).text
    for wrong in ({"value": "6"}, {"case": "nowhere"}, {"draw": "77"}, {"draw": "x"}):
        told = done(world, ANN, "label_case", **{**fields, **wrong})
        assert "rb-bad" in told
    assert len(current_labels(world.engine)) == 1


def test_a_draw_is_made_from_the_page(world: LabelledWorld) -> None:
    told = done(world, ANN, "label_draw", evaluation=str(world.answers[FIRST]), size="100")
    assert "90 of 90 answers are drawn" in told
    assert "draw=1" in told
    assert "rb-bad" in done(world, ANN, "label_draw", evaluation="x")
    assert "There is no evaluation 999" in done(world, ANN, "label_draw", evaluation="999")


def test_corrected_scores_stand_beside_raw_ones(world: LabelledWorld) -> None:
    assert "corrected" not in shown(world.engine, "?tab=models").tables
    made = _drawn(world)
    for case in made.cases:
        value = str(world.truth[FIRST][case])
        done(world, ANN, "label_case", draw=str(made.id), case=case, value=value)
    for tab in ("models", "judges"):
        [row] = shown(world.engine, f"?tab={tab}").tables["corrected"]
        assert row["labels"] == "40"
        assert row["how"] == "prediction_powered"


@pytest.fixture
def browsed(world: LabelledWorld, tmp_path: Path) -> Iterator[Dashboard]:
    app = local(world.engine, Settings(), "127.0.0.1")
    with served(app, lifespan="on") as url, chromium(tmp_path / "profile") as browser:
        yield Dashboard(browser, f"{url}/")


_SETTLES = "document.querySelector('form[data-act=label_settle]')"


def _wait(page: Dashboard, text: str) -> None:
    until(f"the words {text!r}", 60, lambda: text in page.text())


def test_two_annotators_one_by_file_and_one_by_keyboard(
    world: LabelledWorld, browsed: Dashboard, tmp_path: Path
) -> None:
    made = _drawn(world, annotators=("ann", "bob"))
    rows = list(sheet(world.engine, made, "ann"))
    for row in rows:
        row["value"] = world.truth[FIRST][row["case_id"]]
    path = tmp_path / "ann.csv"
    path.write_text(write_csv(rows, list(rows[0])), encoding="utf-8", newline="")
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 40
    placed = read_labels([path], Defaults())
    with world.engine.begin() as connection:
        assert add_labels(connection, [one.label for one in placed]) == 40
    browsed.open(f"?tab=judges&draw={made.id}&annotator=bob")
    order = made.cases_of("bob")
    body = browsed.browser.find_element(By.TAG_NAME, "body")
    differing = []
    for n, case in enumerate(order, 1):
        _wait(browsed, f"Case {n} of 40")
        browsed.settled()
        true = world.truth[FIRST][case]
        said = 3 if n <= 4 else true
        if said != true:
            differing.append(case)
        body.send_keys(str(said))
        _wait(browsed, f"{case} is labelled {said} by bob")
    _wait(browsed, "All your cases of this draw are labelled")
    stands = standing(world.engine, get_draw(world.engine, made.id))
    assert {one.case_id for one in stands.to_settle} == set(differing)
    [pair] = stands.pairs.values()
    assert pair["kappa"].value < 1
    before = corrections(world.engine, SETTINGS, TIER, METRIC).found[FIRST, JUDGE_KEY]
    assert before.n_disputed == len(differing) > 0
    for _ in differing:
        browsed.settled()
        case = str(browsed.run(f"return {_SETTLES}.elements['case'].value"))
        true = str(world.truth[FIRST][case])
        browsed.run(f"{_SETTLES}.querySelector(`button[value='${{arguments[0]}}']`).click()", true)
        _wait(browsed, f"{case} is labelled {true}")
    after = corrections(world.engine, SETTINGS, TIER, METRIC).found[FIRST, JUDGE_KEY]
    assert after.n_disputed == 0
    assert after.mean is not None
    assert after.mean.ci_low <= world.true_mean(FIRST) <= after.mean.ci_high
    assert browsed.problems() == []
