"""Every metric, column, cause and reason of ours has Russian words; values stay as they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from rag_bench.eval_runs.executing import case_errors
from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.evaluation.judge_requirements import REQUIREMENTS
from rag_bench.evaluation.traffic.ratings import SCALES
from rag_bench.languages.translated import catalogue, detail, formula, sentence, title
from rag_bench.llm.tasks.prompts import load, names
from rag_bench.tiers.base import causes

RU = catalogue("ru")
CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)
#: Letters of formulas and names of measures; a word of plain English is longer, or none of these.
NO_WORDS = {"F1", "ROUGE-L", "n", "TP / (TP + FP)"}
WORDS = re.compile(r"[A-Za-z]{4,}")


def test_every_metric_is_explained_in_russian() -> None:
    used = {metric.formula for metric in CATALOGUE.values()}
    assert used - set(RU["formulas"]) == set(), "add them to rag_bench/languages/ru.toml"
    assert set(RU["formulas"]) - used == set(), "these explain nothing any more"


@pytest.mark.parametrize("english", sorted(RU["formulas"]))
def test_code_stays_and_words_are_russian(english: str) -> None:
    russian = RU["formulas"][english]
    assert sorted(re.findall(r"`([^`]+)`", english)) == [
        code for code in sorted(re.findall(r"`([^`]+)`", russian)) if code != "docs/datasets.md"
    ]
    # A number that decides something: with decimals, or in per cent.
    numbers = re.compile(r"\d+\.\d+|\d+(?= ?%)|1e-6")
    assert sorted(numbers.findall(english)) == sorted(numbers.findall(russian))
    plain = re.sub(r"`[^`]*`|\([^)]*\)|\[[^]]*\]", " ", english)
    if len(WORDS.findall(plain)) > 1:
        assert CYRILLIC.search(russian)


def test_every_column_has_a_russian_title() -> None:
    titles = {shown.title for metric in CATALOGUE.values() for shown in metric.shown}
    assert titles - set(RU["titles"]) == set()
    assert set(RU["titles"]) - titles == set()


def test_every_advice_is_there_in_russian() -> None:
    said = {text for _, text in (*causes._ADVICE, *causes._ADVICE_OF_TARGETS) if text}
    assert said - set(RU["advice"]) == set()
    assert set(RU["advice"]) - said == set()


def test_every_reason_is_there_in_russian() -> None:
    for required in REQUIREMENTS:
        assert f"{required.meaning}: {{rest}}" in RU["sentences"]
    for scale in SCALES.values():
        assert not scale.note or scale.note in RU["sentences"], scale.note


def test_errors_of_a_service_s_case_are_there_in_russian() -> None:
    said = {*case_errors._OF_ANSWER.values(), *case_errors._OF_METRIC.values()}
    causes_of_it = {cause for _, cause in case_errors._CAUSES}
    for text in said:
        for cause in causes_of_it:
            russian = sentence(f"{text}: {cause}.", "ru")
            assert not re.search("[a-z]{3,}", russian), russian


#: Whose cases' errors stand on pages; those of plans and of questions as they are written do not.
ERRING = ("llm", "retrieval", "tiers")
UNSEEN = Path("tiers", "plan")
VALUE = "question"  # a prompt's field, too


def _of_cases() -> Iterator[tuple[str, str]]:
    """Every text of a case's error as it is written in the code, values left out, and where."""
    root = Path(str(files("rag_bench")))
    for path in sorted(p for part in ERRING for p in (root / part).rglob("*.py")):
        where = path.relative_to(root)
        if where.is_relative_to(UNSEEN):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) != "CaseError":
                continue
            text = node.args[1] if len(node.args) > 1 else None
            if isinstance(text, ast.JoinedStr | ast.Constant):
                parts = text.values if isinstance(text, ast.JoinedStr) else [text]
                said = [str(p.value) if isinstance(p, ast.Constant) else VALUE for p in parts]
                yield f"{where}:{node.lineno}", "".join(said)


def test_errors_of_cases_are_there_in_russian() -> None:
    found = [one for one in _of_cases() if WORDS.search(one[1].replace(VALUE, ""))]
    assert len(found) > 10
    for where, text in found:
        assert CYRILLIC.search(detail(text, "ru")), f"{where}: {text}"


def test_every_field_of_a_prompt_that_may_be_missing_is_there_in_russian() -> None:
    for prompt in names():
        for field in load(prompt).fields:
            assert CYRILLIC.search(sentence(f"{field} is empty", "ru")), field


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        (
            "x/m: the reply is empty: the model only thought; raise the token limit",
            "x/m: ответ пустой: модель только рассуждала; увеличьте лимит токенов",
        ),
        (
            "faithfulness: x/m: the reply is empty; own: boom; it hurt",
            "faithfulness: x/m: ответ пустой; own: boom; it hurt",
        ),
        (
            "not asked after 25 failures in a row, the last: the reply is empty; run again later",
            "не спрашивали после 25 неудач подряд, последняя: ответ пустой; запустите позже",
        ),
        ("a; b; the reply is empty", "a; b; ответ пустой"),
    ],
)
def test_several_causes_and_one_with_a_semicolon(english: str, russian: str) -> None:
    assert detail(english, "ru") == russian
    assert detail(english, "en") == english


@pytest.mark.parametrize("section", ["advice", "sentences"])
def test_places_are_the_same(section: str) -> None:
    for english, russian in RU[section].items():
        assert sorted(set(re.findall(r"\{(\w+)\}", english))) == sorted(
            set(re.findall(r"\{(\w+)\}", russian))
        ), english
        assert CYRILLIC.search(russian), english


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        (
            "Check the key: PROVIDER_X_API_KEY, or the key variable of the role",
            "Проверьте ключ: PROVIDER_X_API_KEY или переменная с ключом для этой роли",
        ),
        (
            "not asked after 25 failures in a row, the last: cannot connect: Connection refused",
            "не спрашивали после 25 неудач подряд, последняя: не удаётся подключиться: "
            "Connection refused",
        ),
        (
            "it hardly tells good from bad: label_auc 0.61, at least 0.75 is needed",
            "он почти не отличает хорошее от плохого: label_auc 0.61, а нужно не меньше 0.75",
        ),
        (
            "7 of 20 cases have a score by x/y (35 %; 95 % are needed)",
            "судья x/y оценил 7 из 20 вопросов (35 %; нужно 95 %)",
        ),
        (
            "http 500: внутренняя ошибка (at http://a/v1)",
            "http 500: внутренняя ошибка (адрес http://a/v1)",
        ),
        ("what nobody knows {P}", "what nobody knows {P}"),
        ("", ""),
    ],
)
def test_sentences(english: str, russian: str) -> None:
    assert sentence(english, "ru") == russian
    assert sentence(english, "en") == english


def test_what_is_not_there_stays() -> None:
    assert formula("an extension's own", "ru") == "an extension's own"
    assert title("short", "ru") == "short"
    assert sentence("cannot connect: x", "fr") == "cannot connect: x"
