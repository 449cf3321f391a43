"""Which case is which: by id and question, else by the texts; and why others are alone."""

from rag_bench.evaluation.paired.pairing import Asked, pair_cases


def test_cases_are_paired_by_the_clients_id_and_question() -> None:
    first = [Asked("a", True, "Где приказ?", "там"), Asked("b", True, "Кто?", "он")]
    second = [Asked("b", True, "Кто? ", "она"), Asked("a", True, "где  приказ?", "там")]
    found = pair_cases(first, second)
    assert found.pairs == [([0], [1]), ([1], [0])]  # a corrected reference is the same case
    assert (found.by_id, found.rule) == (2, "case id and question")
    assert found.only_first == found.only_second == []


def test_numbers_are_no_ids_and_texts_decide() -> None:
    """Two files in another order: case 1 of one is not case 1 of the other."""
    first = [Asked("1", False, "Кто?", "он"), Asked("2", False, "Где?", "там")]
    second = [Asked("1", False, "Где?", "там"), Asked("2", False, "кто?", "ОН")]
    found = pair_cases(first, second)
    assert found.pairs == [([0], [1]), ([1], [0])]
    assert (found.by_id, found.rule) == (0, "question and reference answer")
    half = pair_cases([Asked("x", True, "Кто?", "он")], second)
    assert half.pairs == [([0], [1])]


def test_a_question_asked_several_times_is_one_case() -> None:
    first = [Asked(str(n), False, "Кто?", "он") for n in range(3)]
    second = [Asked(str(n), False, "Кто?", "он") for n in range(2)]
    assert pair_cases(first, second).pairs == [([0, 1, 2], [0, 1])]
    named = [Asked(f"id{n}", True, "Кто?", "он") for n in range(2)]
    assert pair_cases(named, named).pairs == [([0], [0]), ([1], [1])]


def test_who_has_no_partner_is_told_why() -> None:
    first = [
        Asked("a", True, "Кто?", "он"),
        Asked("b", True, "Где?", "там"),
        Asked("c", True, "Когда?", "в мае"),
        Asked("d", True, "Зачем?", "так"),
    ]
    second = [
        Asked("a", True, "Что?", "он"),
        Asked("n", True, "Где?", "здесь"),
        Asked("d", True, "Зачем?", "так"),
    ]
    found = pair_cases(first, second)
    assert found.pairs == [([3], [2])]
    assert found.only_first == [
        (0, "another question under this id in the other"),
        (1, "another reference answer in the other"),
        (2, "not in the other"),
    ]
    assert found.only_second == [
        (0, "another question under this id in the other"),
        (1, "another reference answer in the other"),
    ]


def test_cases_without_a_question_are_paired_by_id_alone() -> None:
    found = pair_cases([Asked("chunk 1", True, None)], [Asked("chunk 1", True, None)])
    assert (found.pairs, found.by_id) == ([([0], [0])], 1)
    assert pair_cases([Asked("1", True, None)], [Asked("1", True, "Кто?")]).pairs == []
