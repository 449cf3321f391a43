"""ROUGE, BLEU and chrF: hand-worked on Russian, and against formulas written out here."""

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.metrics.text_overlap import (
    METRICS,
    NAMES,
    UnicodeTokenizer,
    text_overlap,
    text_overlaps,
)
from rag_bench.evaluation.text.text_scripts import (
    HAN,
    KANA,
    SCRIPTS,
    SPACED,
    UNSPACED,
    Script,
    script_of,
)

RUSSIAN = "Стипендию начисляют до двадцать пятого числа. Справку выдаёт Единый деканат."


def words(text: str) -> list[str]:
    return UnicodeTokenizer().tokenize(text)


@pytest.mark.parametrize(
    "text",
    [RUSSIAN, "Да", "Да, можно.", "Кабинет 408", "Yes, it is open. Ask the office.", "«Ёлка» — №5"],
)
def test_identical_texts_are_perfect(text: str) -> None:
    scores = text_overlap(text, text)
    expected = dict.fromkeys(NAMES, 1.0) | {"bleu": 100.0, "chrf": 100.0}
    if len(words(text)) == 1:
        expected["rouge2_f"] = None
    assert scores == pytest.approx(expected)
    assert scores["bleu"] <= 100.0


def test_unlike_russian_texts_that_share_a_number() -> None:
    # Two words each, one shared: P = R = F = 1/2. An ASCII tokenizer sees 408 only and says 1.0.
    scores = text_overlap("Кабинет 408", "Стипендия 408")
    assert scores["rouge1_f"] == pytest.approx(0.5)
    assert scores["rouge2_f"] == 0


def test_hand_worked_rouge_on_russian() -> None:
    # Reference (6 words): справку можно получить в едином деканате
    # Answer (5):          получить справку можно в деканате
    # Unigrams shared: получить справку можно в деканате = 5; P 5/5, R 5/6, F 10/11.
    # Bigrams: answer has 4, reference 5, shared "справку можно" = 1; F = 2/(4 + 5).
    # LCS: "справку можно в деканате" = 4; P 4/5, R 4/6, F = 8/11.
    scores = text_overlap(
        "Получить справку можно в деканате!", "Справку можно получить в Едином деканате."
    )
    assert scores["rouge1_f"] == pytest.approx(10 / 11)
    assert scores["rouge2_f"] == pytest.approx(2 / 9)
    assert scores["rougeL_f"] == pytest.approx(8 / 11)


def test_repeated_words_are_clipped() -> None:
    # "да да да" against "да нет": one "да" counts; P 1/3, R 1/2, F 2/5.
    assert text_overlap("да да да", "да нет")["rouge1_f"] == pytest.approx(0.4)


def test_hand_worked_bleu() -> None:
    # Answer a b c d e, reference a b c d f: p1 = 4/5, p2 = 3/4, p3 = 2/3, p4 = 1/2, equal length.
    expected = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert text_overlap("а б в г д", "а б в г е")["bleu"] == pytest.approx(expected)
    # Four of five words: all precisions 1, brevity exp(1 - 5/4).
    short = text_overlap("а б в г", "а б в г д")["bleu"]
    assert short == pytest.approx(100 * math.exp(1 - 5 / 4))


def test_bleu_reads_the_whole_text_and_not_its_first_sentence() -> None:
    reference = "Да. Обратитесь в деканат до пятницы с паспортом."
    wrong_end = text_overlap("Да. Ничего об этом не известно никому вовсе.", reference)["bleu"]
    right_end = text_overlap("Нет. Обратитесь в деканат до пятницы с паспортом.", reference)["bleu"]
    assert right_end > 60 > 20 > wrong_end


def test_chrf_by_hand() -> None:
    # One letter of two shared: only orders 1 and 2 exist. Order 1: 1 of 2 both ways, F 1/2;
    # order 2: none. chrF averages precision and recall over the orders: (1/2 + 0)/2 = 1/4.
    assert text_overlap("аб", "ав")["chrf"] == pytest.approx(25.0)


def test_the_tokenizer() -> None:
    assert words("Ещё ПРИЁМ: кабинет №408-а, e-mail_2!") == [
        "еще",
        "прием",
        "кабинет",
        "408",
        "а",
        "e",
        "mail",
        "2",
    ]
    assert words("за\u0301мок") == ["замок"]  # a stress mark
    assert words("обще\u00adжитие") == ["общежитие"]  # a soft hyphen
    assert words("и\u0306од") == ["йод"]  # й in two code points
    assert words("**_важно_**") == ["важно"]
    assert words("— … !") == []


def test_composed_and_decomposed_letters_are_equal() -> None:
    scores = text_overlap("Мо\u0438\u0306 приём", "Мо\u0439 приём")
    assert scores["bleu"] == pytest.approx(100)
    assert scores["chrf"] == pytest.approx(100)


def test_a_blank_answer_is_no_score() -> None:
    for answer, reference in (("", "да"), (" \n", "да"), ("да", "")):
        with pytest.raises(ValueError, match="blank"):
            text_overlap(answer, reference)


def test_words_against_no_words() -> None:
    scores = text_overlap("!!!", RUSSIAN)
    assert scores["rouge1_f"] == scores["rouge2_f"] == scores["rougeL_f"] == 0
    assert text_overlap(RUSSIAN, "!!!")["rouge1_f"] is None


def test_batch_keeps_places() -> None:
    results = text_overlaps([None, "да нет", "", "да нет"], ["да", "да нет", "да", None])
    assert [r["rouge1_f"] for r in results] == [None, 1.0, None, None]
    assert all(set(r) == set(NAMES) for r in results)
    with pytest.raises(ValueError, match="references"):
        text_overlaps(["да"], [])


def plain_lcs(a: list[str], b: list[str]) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        previous = 0
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], previous + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


sentences = st.lists(
    st.sampled_from(["ты", "он", "она", "мы", "да", "нет", "ещё", "вуз"]), min_size=1, max_size=9
)


@given(sentences, sentences)
@settings(deadline=None, max_examples=80)
def test_rouge_l_is_the_longest_common_subsequence(a: list[str], b: list[str]) -> None:
    scores = text_overlap(" ".join(a), " ".join(b))
    assert scores["rougeL_f"] == pytest.approx(2 * plain_lcs(a, b) / (len(a) + len(b)))
    for metric in METRICS:
        name, (low, high) = metric.name, metric.scale or (0, 0)
        assert scores[name] is None or low <= scores[name] <= high
    swapped = text_overlap(" ".join(b), " ".join(a))
    assert swapped["rouge1_f"] == pytest.approx(scores["rouge1_f"])


HINDI = "छात्रवृत्ति हर महीने की पच्चीस तारीख को मिलती है।"
CHINESE = "奖学金在每月二十五号之前发放。"
JAPANESE = "奨学金は毎月二十五日までに支払われます。"
KOREAN = "장학금은 매월 이십오일까지 지급됩니다."
THAI = "ทุนการศึกษาจ่ายทุกวันที่ยี่สิบห้าของเดือน"
KHMER = "អាហារូបករណ៍ត្រូវបានបង់រៀងរាល់ខែ"


@pytest.mark.parametrize("text", [HINDI, CHINESE, JAPANESE, KOREAN, RUSSIAN])
def test_identical_texts_of_scripts_with_words_are_perfect(text: str) -> None:
    expected = dict.fromkeys(NAMES, 1.0) | {"bleu": 100.0, "chrf": 100.0}
    assert text_overlap(text, text) == pytest.approx(expected)


def test_marks_make_words_of_hindi() -> None:
    # Without its vowel signs each of these words is the other.
    scores = text_overlap("दिन की", "दान का")
    assert scores["rouge1_f"] == 0
    assert text_overlap("दिन की", "दिन का")["rouge1_f"] == pytest.approx(1 / 2)


def test_han_characters_are_words_one_by_one() -> None:
    # 8 characters against 8, seven of them the same; bigrams 7 and 7, five the same.
    scores = text_overlap("请到三号窗口领取", "请到四号窗口领取。")
    assert scores["rouge1_f"] == pytest.approx(7 / 8)
    assert scores["rouge2_f"] == pytest.approx(5 / 7)
    # One clause without a space would be one word: 13a gives 0 for a single other character.
    assert scores["bleu"] is not None
    assert 30 < scores["bleu"] < 90


def test_bleu_of_chinese_is_sacrebleus_own() -> None:
    from sacrebleu import sentence_bleu

    answer, reference = "奖学金每月二十五号发放。", CHINESE
    for tokenizer, texts in (
        ("zh", (answer, reference)),
        ("char", ("学金は毎月払います", JAPANESE)),
    ):
        expected = sentence_bleu(texts[0], [texts[1]], tokenize=tokenizer, use_effective_order=True)
        assert text_overlap(*texts)["bleu"] == pytest.approx(expected.score)


@pytest.mark.parametrize("text", [THAI, KHMER, f"{THAI} (International Office)"])
def test_measures_of_words_are_withheld_where_none_are_marked(text: str) -> None:
    scores = text_overlap(text, text)
    assert scores.pop("chrf") == pytest.approx(100)
    assert scores == dict.fromkeys(("rouge1_f", "rouge2_f", "rougeL_f", "bleu"))
    assert set(script_of(text).withheld) == set(scores)
    assert all(script_of(text).withheld.values())


@pytest.mark.parametrize(
    ("text", "script"),
    [
        (RUSSIAN, SPACED),
        ("25", SPACED),
        ("", SPACED),
        (HINDI, SPACED),
        (KOREAN, SPACED),
        ("Слово «สวัสดี» значит по-тайски «здравствуйте», его говорят при встрече всем.", SPACED),
        ("The sign 出口 marks every exit of the main building and of both dormitories.", SPACED),
        (CHINESE, HAN),
        ("请联系 International Students Office", HAN),
        (JAPANESE, KANA),
        ("東京タワー", KANA),
        (THAI, UNSPACED),
        ("ພາສາລາວ", UNSPACED),
        ("မြန်မာဘာသာ", UNSPACED),
    ],
)
def test_the_script_of_a_reference(text: str, script: Script) -> None:
    assert script_of(text) is script


def test_every_withheld_measure_is_one_of_ours() -> None:
    for script in SCRIPTS:
        assert set(script.withheld) <= set(NAMES)
        assert (script.bleu_tokenizer is None) == ("bleu" in script.withheld)


def test_a_stderr_of_the_moment_is_not_closed_when_logging_is_configured_anew() -> None:
    program = """
import io, logging.config, sys
from rag_bench.evaluation.metrics.text_overlap import text_overlap
of_the_moment = sys.stderr = io.StringIO()
text_overlap("справка готова", "справка готова")
sys.stderr = sys.__stderr__
logging.config.dictConfig({"version": 1})
assert not of_the_moment.closed
sys.stderr.write("still open")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "still open")
