"""Three words, planted: a drop is found, an equal pair passes, too little cannot be told."""

import numpy as np
import pytest

from rag_bench.evaluation.comparison import Comparison, compare_paired
from rag_bench.evaluation.paired.decision import decide, overall

UNIT = (0.0, 1.0)


def compared(lost: int, gained: int, n: int, *, a_page: int = 1) -> Comparison:
    """Return yes/no of ``n`` cases, of which so many only one of both got right."""
    first = {str(i): float(i < lost or i >= n - 10 > lost + gained) for i in range(n)}
    second = dict(first)
    second |= {str(i): 0.0 for i in range(lost)}
    second |= {str(i): 1.0 for i in range(lost, lost + gained)}
    pages = {case: int(case) // a_page for case in first}
    return compare_paired(first, second, pages, yes_no=True, scale=UNIT)


def test_a_planted_drop_is_found_and_an_equal_pair_is_not() -> None:
    drop = compared(40, 5, 300)
    found = decide(drop, drop.p_value, higher_is_better=True, margin=0.05, scale=UNIT)
    assert (found.word, found.better, found.needed) == ("got worse", False, None)
    same = compared(3, 3, 300)
    found = decide(same, same.p_value, higher_is_better=True, margin=0.05, scale=UNIT)
    assert (found.word, found.better) == ("no worse than the margin", False)


def test_lower_is_better_turns_it() -> None:
    more = compared(5, 40, 300)
    found = decide(more, more.p_value, higher_is_better=False, margin=0.05, scale=UNIT)
    assert found.word == "got worse"
    found = decide(more, more.p_value, higher_is_better=True, margin=0.05, scale=UNIT)
    assert (found.word, found.better) == ("no worse than the margin", True)
    found = decide(more, more.p_value, higher_is_better=None, margin=0.05, scale=UNIT)
    assert (found.word, found.reason) == (
        "cannot tell",
        "it is not known which direction is better",
    )


def test_a_drop_that_may_be_chance_among_many_metrics_is_no_regression() -> None:
    drop = compared(12, 3, 300)
    assert drop.p_value is not None
    assert drop.p_value < 0.05 < 5 * drop.p_value
    alone = decide(drop, drop.p_value, higher_is_better=True, margin=0.02, scale=UNIT)
    among = decide(drop, 5 * drop.p_value, higher_is_better=True, margin=0.02, scale=UNIT)
    assert (alone.word, among.word) == ("got worse", "cannot tell")
    assert among.reason is not None
    assert among.reason.startswith("worse if it were the only metric")


def test_too_few_say_how_many_would_decide() -> None:
    few = compared(6, 6, 60, a_page=3)
    found = decide(few, few.p_value, higher_is_better=True, margin=0.05, scale=UNIT)
    assert found.word == "cannot tell"
    assert found.needed is not None
    assert found.needed.questions == 3 * found.needed.pages > 300
    one_page = compared(6, 6, 60, a_page=60)
    found = decide(one_page, one_page.p_value, higher_is_better=True, margin=0.05, scale=UNIT)
    assert (found.word, found.reason) == ("cannot tell", "all cases are of one page")
    nothing = compare_paired({"1": None}, {"1": 1.0}, {"1": "p"})
    found = decide(nothing, None, higher_is_better=True, margin=0.05)
    assert found.reason == "no case has a score on both sides"


@pytest.mark.parametrize(("pages", "word"), [(71, "cannot tell"), (72, "no worse than the margin")])
def test_alike_on_few_pages_is_no_proof(pages: int, word: str) -> None:
    same = compared(0, 0, 2 * pages, a_page=2)
    found = decide(same, same.p_value, higher_is_better=True, margin=0.05, scale=UNIT)
    assert found.word == word
    if word == "cannot tell":
        assert found.needed is not None
        assert (found.needed.pages, found.needed.questions) == (72, 144)


def test_a_measure_without_a_scale_has_no_margin() -> None:
    first = {str(i): float(i % 7) for i in range(50)}
    second = {case: value + (-1) ** int(case) for case, value in first.items()}
    found = compare_paired(first, second, {case: case for case in first})
    assert decide(found, found.p_value, higher_is_better=True, margin=None).reason == (
        "it has no scale, so there is no margin"
    )


@pytest.mark.parametrize(
    ("change", "higher", "margin", "word", "better"),
    [
        (-3.0, True, None, "got worse", False),
        (3.0, False, None, "got worse", False),
        (3.0, True, 0.5, "no worse than the margin", True),
        (-3.0, False, None, "cannot tell", True),
        (0.0, True, 0.5, "cannot tell", False),
    ],
)
def test_all_pages_changed_by_the_same_without_a_scale(
    change: float, higher: bool, margin: float | None, word: str, better: bool
) -> None:
    """No interval, but 40 pages of 40 fell: that is no chance."""
    first = {str(i): float(i % 7) for i in range(40)}
    second = {case: value + change for case, value in first.items()}
    found = compare_paired(first, second, {case: case for case in first})
    assert found.difference.ci_low is None
    said = decide(found, found.p_value, higher_is_better=higher, margin=margin)
    assert (said.word, said.better) == (word, better)
    if not change:
        assert said.reason == "none differs, and it has no scale"
    few = compare_paired(
        *({case: side[case] for case in "123"} for side in (first, second)),
        {case: case for case in "123"},
    )
    assert decide(few, few.p_value, higher_is_better=higher, margin=margin).word == "cannot tell"


def test_several_metrics_have_the_worst_word() -> None:
    assert overall([]) == "cannot tell"
    assert overall(["no worse than the margin"] * 2) == "no worse than the margin"
    assert overall(["no worse than the margin", "cannot tell"]) == "cannot tell"
    assert overall(["no worse than the margin", "cannot tell", "got worse"]) == "got worse"


def test_false_alarms_and_power_are_those_of_the_docs() -> None:
    """200 questions, 15 % that differ, no change: at most 2.5 % false regressions."""
    rng = np.random.default_rng(8)
    words = []
    for lost, gained in rng.binomial(200, [0.075, 0.075], size=(600, 2)):
        found = compared(int(lost), int(gained), 200)
        words.append(
            decide(found, found.p_value, higher_is_better=True, margin=0.05, scale=UNIT).word
        )
    assert words.count("got worse") / 600 <= 0.025 + 3 * 0.0064
    assert 0.35 <= words.count("no worse than the margin") / 600 <= 0.52


@pytest.mark.parametrize(("n", "word"), [(71, "cannot tell"), (72, "no worse than the margin")])
@pytest.mark.parametrize("yes_no", [True, False])
def test_no_pair_differs_by_hand(n: int, word: str, yes_no: bool) -> None:
    """If 5 % of the pages lost, n of them show nothing in .95^n: in .026 at 71, in .0249 at 72."""
    assert (0.95**n < 0.025) is (word != "cannot tell")
    scores = {str(i): float(i % 2) for i in range(n)}
    found = compare_paired(scores, scores, {i: i for i in scores}, yes_no=yes_no, scale=UNIT)
    assert found.difference.ci_low == pytest.approx(-(1 - 0.025 ** (1 / n)))
    assert found.difference.ci_high == pytest.approx(1 - 0.025 ** (1 / n))
    said = decide(found, found.p_value, higher_is_better=True, margin=0.05, scale=UNIT)
    assert said.word == word
    if word == "cannot tell":
        assert said.alike
        assert said.needed is not None
        assert (said.needed.questions, said.needed.pages) == (72, 72)
        # 1 - .025^(1/71) = .0506
        assert said.reason == "no pair differs, but of pages not asked 5.1% may"


def test_one_system_measured_twice_is_no_worse_however_little_was_asked() -> None:
    scores = {"a": 4.0, "b": 2.0}
    for pages in ({"a": 1, "b": 2}, {"a": 1, "b": 1}):
        found = compare_paired(scores, scores, pages, scale=(1.0, 5.0))
        plain = decide(found, found.p_value, higher_is_better=True, margin=0.2, scale=(1.0, 5.0))
        assert plain.word == "cannot tell"
        same = decide(found, found.p_value, higher_is_better=True, margin=None, unchanged=True)
        assert same.word == "no worse than the margin"
        assert same.reason is not None
        assert same.reason.startswith("by construction")
    none = compare_paired({"a": None}, {"a": 1.0}, {"a": 1})
    assert (
        decide(none, None, higher_is_better=True, margin=0.2, unchanged=True).word == "cannot tell"
    )
