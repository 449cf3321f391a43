"""Files of labels: round trips lose nothing, bad ones say file, row and column."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bench.source.label_files import (
    COLUMNS,
    Defaults,
    LabelFileError,
    read_labels,
    read_text,
    write_csv,
    write_labels,
)
from rag_bench.store.labels.labels import NewLabel

_TEXT = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\ufeff"), min_size=1
)
LABELS = st.builds(
    NewLabel,
    st.integers(1, 10**9),
    _TEXT,
    st.just("rubric_e2e_quality"),
    st.none() | st.integers(1, 5).map(float),
    _TEXT,
    st.sampled_from(["person", "model"]),
    st.booleans(),
    st.none() | _TEXT,
    st.none() | st.integers(1, 99),
    st.none() | _TEXT,
    st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(st.lists(LABELS, max_size=4), st.sampled_from(["csv", "jsonl"]))
def test_a_round_trip_loses_nothing(labels: list[NewLabel], form: str) -> None:
    if form == "jsonl" and not labels:
        return
    assert [one.label for one in read_text("x", write_labels(labels, form))] == labels


def test_a_text_that_a_spreadsheet_would_take_for_a_formula_is_quoted(tmp_path: Path) -> None:
    one = NewLabel(1, "q1", "rubric_e2e_quality", 5, "ann", note="=1+1")
    path = tmp_path / "labels.csv"
    path.write_text(write_labels([one], "csv"), encoding="utf-8", newline="")
    assert ",'=1+1," in path.read_text(encoding="utf-8")
    assert [row.label for row in read_labels([path])] == [one]


def test_a_sheet_that_is_partly_filled_in_gives_what_is_there() -> None:
    text = (
        "evaluation_id;case_id;question;answer;value;note\n"
        "7;q1;Как?;Так;5;\n7;q2;Где?;Там;;\n7;q3;Когда?;Потом;?;не ясно\n"
    )
    known = Defaults("ann", guideline="house", guideline_version=2, metric="rubric_e2e_quality")
    found = [one.label for one in read_text("sheet.csv", text, known)]
    assert [(one.case_id, one.value, one.note) for one in found] == [
        ("q1", 5.0, None),
        ("q3", None, "не ясно"),
    ]
    assert {(one.annotator, one.guideline, one.guideline_version) for one in found} == {
        ("ann", "house", 2)
    }


def test_a_time_without_a_zone_is_utc() -> None:
    text = "evaluation_id,case_id,metric,value,annotator,at\n1,q,m,1,ann,2026-01-02T03:04:05\n"
    [one] = read_text("x.csv", text)
    assert one.label.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


_HEAD = "evaluation_id,case_id,metric,value,annotator\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (_HEAD + "1,q1,m,5,ann\n1,q2,m,good,ann\n", "row 3, column value"),
        (_HEAD + "one,q1,m,5,ann\n", "row 2, column evaluation_id"),
        (_HEAD + "1,,m,5,ann\n", "row 2, column case_id: it is missing"),
        (_HEAD + "1,q1,m,5\n", "row 2: 4 cells under 5 columns"),
        ("evaluation_id,case_id,metric,verdict,annotator\n", "row 1, column verdict: not known"),
        ("evaluation_id,case_id,value,value\n", "row 1, column value: it is there twice"),
        ("evaluation_id,case_id,metric,annotator\n1,q,m,a\n", "there is no column value"),
        (_HEAD.replace("value", "value,at") + "1,q1,m,5,monday,ann\n", "row 2, column at"),
        (_HEAD.replace("value", "value,settles") + "1,q1,m,5,maybe,ann\n", "column settles"),
        (
            _HEAD.replace("value", "value,annotator_kind") + "1,q1,m,5,robot,ann\n",
            "column annotator_kind",
        ),
        (_HEAD + '1,"q1,m,5,ann\n', "no CSV"),
        ("", "it is empty"),
        ('{"evaluation_id": 1\n', "line 1: no JSON"),
        ('{"evaluation_id": 1, "case_id": "q", "value": true}', "line 1, column value"),
        ('{"evaluation_id": 1.5, "case_id": "q", "value": 1}', "line 1, column evaluation_id"),
        ('{"case_id": 1, "value": 1}', "line 1, column case_id"),
        ('{"case_id": "q", "value": 1}\n[]', "line 2: a label is an object"),
    ],
)
def test_a_bad_file_says_file_row_and_column(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelFileError) as caught:
        read_labels([path])
    assert "bad.txt" in str(caught.value)
    assert where in str(caught.value)
    assert "Nothing was stored" in str(caught.value)


def test_a_file_in_another_encoding_says_in_which_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(_HEAD.encode() + "1,q1,m,5,Jörg\n".encode("latin-1"))
    with pytest.raises(LabelFileError, match=r"bad\.csv, line 2: not UTF-8"):
        read_labels([path, tmp_path / "none.csv"])


def test_every_problem_is_told_up_to_ten() -> None:
    text = _HEAD + "1,q1,m,x,ann\n" * 12
    with pytest.raises(LabelFileError, match="and 2 more") as caught:
        read_text("x.csv", text)
    assert len(caught.value.problems) == 12


def test_cells_may_be_written_of_any_columns() -> None:
    assert write_csv([{"case_id": "q", "value": None}], ["case_id", "value"]) == (
        "\ufeffcase_id,value\r\nq,\r\n"
    )
    assert COLUMNS[0] == "evaluation_id"


_METRIC = "rubric_e2e_quality"
_ROWS = (
    "evaluation_id;case_id;metric;value;annotator;note\r\n"
    f'7;q1;{_METRIC};5;Аня;"две\r\nстроки; и ""кавычки"""\r\n'
    f"7;q2;{_METRIC};?;Аня;решить нельзя, не хватает условий\r\n"
)


@pytest.mark.parametrize(
    "content",
    [
        _ROWS.encode(),
        b"\xef\xbb\xbf" + _ROWS.encode(),
        _ROWS.encode("utf-16"),
        _ROWS.encode("cp1251"),
        ("sep=;\r\n" + _ROWS).encode("utf-8-sig"),
    ],
    ids=["utf-8", "mark", "utf-16", "cp1251", "sep"],
)
def test_what_russian_excel_saves_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    first, second = (one.label for one in read_labels([path]))
    assert (first.value, first.annotator) == (5.0, "Аня")
    assert first.note == 'две\r\nстроки; и "кавычки"'
    assert (second.value, second.note) == (None, "решить нельзя, не хватает условий")


def test_rows_are_counted_from_the_top_also_below_a_separator_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"sep=;\nevaluation_id;case_id;metric;value;annotator\n7;q;{_METRIC};9;a\n")
    with pytest.raises(LabelFileError, match=r"row 3, column value: .* from 1 to 5, not '9'"):
        read_labels([path])


@pytest.mark.parametrize(
    ("metric", "text", "value"),
    [
        ("ragas_faithfulness", "0,75", 0.75),
        ("ragas_faithfulness", "да", 1.0),
        ("ragas_faithfulness", "No", 0.0),
        ("ragas_context_recall", "0.5", 0.5),
        ("predicted_show", "show", 1.0),
        ("predicted_show", "0", 0.0),
        (_METRIC, "4,0", 4.0),
    ],
)
def test_values_are_on_the_scale_of_what_is_labelled(metric: str, text: str, value: float) -> None:
    content = f"evaluation_id;case_id;metric;value;annotator\n1;q;{metric};{text};ann\n"
    [one] = read_text("x.csv", content)
    assert one.label.value == value


@pytest.mark.parametrize(
    ("metric", "text", "said"),
    [
        (_METRIC, "1,5", "a whole number from 1 to 5, not '1,5'"),
        (_METRIC, "6", "a whole number from 1 to 5, not '6'"),
        (_METRIC, "да", "a number, or"),
        ("ragas_faithfulness", "0,8", r"one of 0, 0\.25, 0\.5, 0\.75, 1"),
        ("ragas_faithfulness", "4", r"one of 0, 0\.25, 0\.5, 0\.75, 1"),
        ("predicted_show", "0,5", "1 .show. or 0 .hide."),
        (_METRIC, "nan", "a number, or"),
    ],
)
def test_a_value_off_the_scale_is_refused_by_place(metric: str, text: str, said: str) -> None:
    content = f"evaluation_id;case_id;metric;value;annotator\n1;q;{metric};{text};ann\n"
    with pytest.raises(LabelFileError, match=f"x.csv, row 2, column value: .*{said}"):
        read_text("x.csv", content)


def test_an_empty_annotator_is_told_by_row(tmp_path: Path) -> None:
    rows = "".join(f"1,q{n},{_METRIC},5,{'' if n == 7 else 'ann'}\n" for n in range(10))
    with pytest.raises(LabelFileError, match="row 9, column annotator: it is missing"):
        read_text("x.csv", f"evaluation_id,case_id,metric,value,annotator\n{rows}")


def test_ten_thousand_rows_go_out_and_in() -> None:
    labels = [
        NewLabel(1, f"q{n}", _METRIC, float(n % 5 + 1), "Аня", note="=1;2\n3")
        for n in range(10_000)
    ]
    for form in ("csv", "jsonl"):
        assert [one.label for one in read_text("x", write_labels(labels, form))] == labels
