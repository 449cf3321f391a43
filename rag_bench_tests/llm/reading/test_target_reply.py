"""What is read of an assistant's reply, and what is said of one that is not understood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.targets import Target
from rag_bench.llm.reading.replies import ReadReply
from rag_bench.llm.reading.target_reply import (
    CONTEXTS_NOT_FOUND,
    EVENTS_TYPE,
    Named,
    Understood,
    find,
    read_target_reply,
    target_reply,
    understand,
)

URL = "https://help.example.org/api/ask"
JSON = "application/json; charset=utf-8"


def desk(**fields: Any) -> Target:
    return Target("desk", URL, **fields)


def read(target: Target, content: str | bytes, media_type: str = JSON) -> ReadReply:
    raw = content if isinstance(content, bytes) else content.encode()
    return read_target_reply(target, raw, media_type)


def understood(target: Target, document: Any) -> Understood:
    found = read(target, json.dumps(document))
    assert found.body is not None
    return understand(target, json.loads(found.json))


# The examples of RFC 6901, section 5.
RFC = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_pointers_are_those_of_the_rfc(pointer: str, value: Any) -> None:
    assert list(find(RFC, pointer)) == [((), value)]


def test_a_star_is_each_element_of_a_list_and_a_field_of_that_name() -> None:
    document = {"a": [{"b": 1}, {"c": 2}, {"b": 3}], "*": {"b": 4}}
    assert list(find(document, "/a/*/b")) == [((0,), 1), ((2,), 3)]
    assert list(find(document, "/*/b")) == [((), 4)]
    assert list(find(document, "/a/9/b")) == []
    assert list(find(document, "/a/-/b")) == []


def test_contexts_are_paired_by_their_element() -> None:
    target = desk(contexts="/sources/*/text", ids="/sources/*/id")
    found = understood(
        target,
        {
            "answer": " Да. ",
            "sources": [{"id": 7, "text": "один"}, {"text": "два"}, {"id": "p/3"}, {"id": ""}],
        },
    )
    assert found.contexts == (Named("7", "один"), Named(None, "два"), Named("p/3", None))
    assert found.problems == {}


def test_lists_of_texts_are_read_without_a_star_and_paired_by_place() -> None:
    target = desk(contexts="/texts", ids="/urls")
    found = understood(target, {"answer": "Да", "texts": ["один", "два"], "urls": ["a", "b"]})
    assert found.contexts == (Named("a", "один"), Named("b", "два"))


def test_no_context_is_no_problem_and_a_pointer_into_nothing_is_one() -> None:
    target = desk(contexts="/sources/*/text")
    for empty in ({"sources": []}, {"sources": None}):
        assert understood(target, {"answer": "Да", **empty}).problems == {}
    found = understood(target, {"answer": "Да", "docs": [{"body": "один"}]})
    assert found.problems == {
        "CONTEXTS": "nothing at /sources/*/text; the reply has /answer (text), /docs/*/body (text)"
    }


def test_a_reply_without_an_answer_says_what_it_has() -> None:
    target = desk()
    read_of = read(target, '{"text": "Да", "meta": {"a/b": 1}}')
    with pytest.raises(CaseError) as failed:
        target_reply(target, read_of.json, 1.0, from_ledger=False, key="k")
    assert failed.value.code is ErrorCode.LLM_FAILED
    assert not failed.value.retryable
    assert failed.value.detail == (
        "target/desk: TARGET_DESK_ANSWER: no text at /answer; the reply has /meta/a~1b (int), "
        "/text (text)"
    )
    with pytest.raises(CaseError, match="the text at /answer is empty"):
        target_reply(target, read(target, '{"answer": " "}').json, 1.0, from_ledger=False, key="k")


def test_a_flag_says_that_contexts_were_not_found() -> None:
    target = desk(ids="/ids")
    reply = target_reply(
        target, read(target, '{"answer": "Да"}').json, 1.23456, from_ledger=True, key="k"
    )
    assert (reply.answer, reply.contexts, reply.flags) == ("Да", (), (CONTEXTS_NOT_FOUND,))
    assert reply.latency_ms == 1.235


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "empty"),
        ("<html>busy</html>", "not JSON"),
        ('{"answer": "x', "not JSON"),
        ('{"answer": NaN}', "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_json_is_kept_as_unreadable(content: str, problem: str) -> None:
    found = read(desk(), content)
    assert found.body is None
    assert found.problem == f"unreadable reply: {problem}"


def test_what_the_database_cannot_hold_is_replaced() -> None:
    found = read(desk(), '{"answer": "a\\u0000b\\ud800c"}')
    assert json.loads(found.json) == {"reply": {"answer": "a\ufffdb\ufffdc"}}


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"error": {"message": "busy", "code": 503}}, 503),
        ({"error": "busy"}, 502),
        ({"error": "busy", "status": 429}, 429),
        ({"answer": "Да", "error": None}, None),
        ({"answer": "Да", "error": {"warning": "slow"}}, None),
    ],
)
def test_an_error_inside_a_200(document: Any, status: int | None) -> None:
    assert read(desk(), json.dumps(document)).provider_error == status


STREAM = (
    'data: {"choices": [{"delta": {"content": "Спр"}}]}\r\n\r\n'
    ": a comment\n\n"
    'data: {"choices": [{"delta":\ndata: {"content": "авка"}}]}\n\n'
    'data: {"choices": [{"delta": {}}]}\n\n'
    'event: sources\ndata: {"sources": [{"id": 3}]}\n\n'
    "data: [DONE]\n\n"
)
DELTAS = {"answer": "/choices/0/delta/content", "ids": "/sources/*/id"}


def test_deltas_are_joined_and_contexts_are_read_of_any_event() -> None:
    target = desk(**DELTAS)
    found = understand(target, json.loads(read(target, STREAM, EVENTS_TYPE).json))
    assert found.answer == "Справка"
    assert found.contexts == (Named("3", None),)


def test_of_growing_replies_the_last_counts() -> None:
    text = 'data: {"answer": "Спр"}\n\ndata: {"answer": "Справка", "ids": [1, 2]}\n\n'
    target = desk(stream="last", ids="/ids")
    found = understand(target, json.loads(read(target, text, EVENTS_TYPE).json))
    assert found.answer == "Справка"
    assert [one.reference for one in found.contexts] == ["1", "2"]


def test_a_stream_that_ends_in_an_error_is_no_answer() -> None:
    for ending in ('event: error\ndata: "gone"\n\n', 'data: {"error": {"code": 500}}\n\n'):
        found = read(desk(**DELTAS), STREAM + ending, EVENTS_TYPE)
        assert found.provider_error in (500, 502)
    assert read(desk(), ": nothing\n\n", EVENTS_TYPE).problem == (
        "unreadable reply: a stream without events"
    )


def test_a_field_called_error_in_an_answer_is_a_text() -> None:
    found = read(desk(), json.dumps({"answer": 'Пишет "error"? Перезагрузите.'}))
    assert found.provider_error is None
    assert found.body is not None
