"""The variables of live assistants: what they come to, and what is said of one that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.config.target_variables import VARIABLES

URL = "https://help.example.org/api/ask"
TOKEN = "tok-planted-0123456789"


def providers(**variables: str) -> Providers:
    return Providers({"TARGET_DESK_URL": URL, **variables})


def target(**variables: str) -> Any:
    found = providers(**{f"TARGET_DESK_{name}": value for name, value in variables.items()})
    return found.provider("target/desk").require_target()


def test_an_address_is_enough() -> None:
    found = providers()
    assert "target/desk" in found.models_for(Role.generation)
    assert "target/desk" not in found.models_for(Role.benchmark_judge)
    provider, name = found.split("target/desk")
    assert (provider.name, name, provider.base_url) == ("target/desk", "desk", URL)
    assert provider.concurrency == 4
    assert provider.require_target().request("Где?", "k") == {
        "method": "POST",
        "body": {"question": "Где?"},
        "knowledge": "k",
    }


def test_it_is_chosen_by_its_key() -> None:
    found = providers()
    assert found.resolve_models(Role.generation, "target/desk, simulator/sim-strong") == [
        "target/desk",
        "simulator/sim-strong",
    ]
    assert found.resolve_models(Role.generation, "TARGET/Desk") == ["target/desk"]
    assert found.resolve_models(Role.generation) == ["target/desk"]
    with pytest.raises(ConfigurationError, match="can stand among generation models only"):
        found.resolve_models(Role.benchmark_judge, "target/desk")
    with pytest.raises(ConfigurationError, match=r"there are: target/desk\).*TARGET_OTHER_URL"):
        found.resolve_models(Role.generation, "target/other")


def test_a_name_may_hold_underscores_and_every_variable_is_read() -> None:
    given = {
        "URL": f"{URL}?site=1",
        "METHOD": "get",
        "BODY": '{"q": "«{question}»", "n": 3}',
        "ANSWER": "/data/text",
        "CONTEXTS": "/data/sources/*/snippet",
        "IDS": "/data/sources/*/a~1b",
        "STREAM": "last",
        "HEADERS": "Authorization=Bearer $DESK_TOKEN; X-Tenant=students",
        "TIMEOUT": "7.5",
        "CONCURRENCY": "2",
        "RPM": "30",
        "CA_FILE": "ca.pem",
        "REFUSALS": "Не знаю | I do not know",
        "SIMILARITY": "0.8",
        "VERSION": "release 7",
    }
    assert set(given) == set(VARIABLES)
    found = Providers(
        {f"TARGET_HELP_DESK_{k}": v for k, v in given.items()} | {"DESK_TOKEN": TOKEN}
    )
    provider = found.provider("target/help_desk")
    assert (provider.timeout_seconds, provider.concurrency, provider.rpm) == (7.5, 2, 30)
    assert provider.ca_file == "ca.pem"
    desk = provider.require_target()
    assert desk.request('Где "это"?', "") == {
        "method": "GET",
        "body": {"q": '«Где "это"?»', "n": 3},
        "headers": {"x-tenant": "students"},
        "version": "release 7",
    }
    assert desk.headers == {"authorization": f"Bearer {TOKEN}", "x-tenant": "students"}
    assert desk.refusals == ("Не знаю", "I do not know")
    assert TOKEN in provider.secrets()
    assert "students" not in provider.secrets()
    assert TOKEN not in repr(provider) + repr(desk.content()) + repr(found)
    assert found.notes == []


def test_headers_may_be_json() -> None:
    found = providers(TARGET_DESK_HEADERS='{"X-API-Key": "${DESK_TOKEN}"}', DESK_TOKEN=TOKEN)
    assert found.provider("target/desk").require_target().headers == {"x-api-key": TOKEN}


def test_another_version_word_or_template_is_another_request() -> None:
    plain = target().request("?", "k")
    assert target(VERSION="2").request("?", "k") != plain
    assert target(BODY='{"q": "{question}"}').request("?", "k") != plain
    assert target(ANSWER="/other", SIMILARITY="0.9").request("?", "k") == plain


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("URL", "help.example.org", r"TARGET_DESK_URL is not an http\(s\) address; for example"),
        ("URL", "https://u:secretword@h/", "holds a password.*TARGET_DESK_HEADERS"),
        ("URL", "https://h/ask#x", "has a fragment"),
        ("URL", "https://h/ask?api_key=zzz", "'api_key' in its query looks like a secret"),
        ("METHOD", "DELETE", "TARGET_DESK_METHOD is 'DELETE'; it can be POST or GET"),
        ("BODY", "{question}", r"TARGET_DESK_BODY is no JSON \(character 2\); for example"),
        ("BODY", '{"q": "?"}', r"has no \{question\} inside a text"),
        ("BODY", '{"{question}": 1}', r"has no \{question\} inside a text"),
        ("BODY", '{"q": "{question}", "token": "zzz"}', "'token' looks like a secret"),
        ("ANSWER", "answer", "which is no JSON Pointer: it begins with a slash"),
        ("CONTEXTS", "/a~2", "TARGET_DESK_CONTEXTS is '/a~2', which is no JSON Pointer"),
        ("IDS", "$.ids", "no JSON Pointer"),
        ("STREAM", "first", "can be deltas or last"),
        ("HEADERS", "Authorization", "has an entry without '='"),
        ("HEADERS", "Authorization=Bearer zzz", "is written out; name the environment variable"),
        ("HEADERS", "Cookie=a", "is written out"),
        ("HEADERS", "X-Key=$DESK_MISSING", "variable DESK_MISSING, which is not set"),
        ("HEADERS", "Host=a", "may not set 'Host'"),
        ("TIMEOUT", "soon", "TARGET_DESK_TIMEOUT must be a positive number"),
        ("CONCURRENCY", "1.5", "TARGET_DESK_CONCURRENCY must be a whole number"),
        ("SIMILARITY", "1.5", "is a share, above 0 and at most 1"),
    ],
)
def test_what_cannot_be_meant_is_said_where_it_stands(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as failed:
        target(**{name: value})
    assert "TARGET_DESK_" in str(failed.value)
    assert "zzz" not in str(failed.value)
    assert "secretword" not in str(failed.value)


def test_a_get_needs_fields() -> None:
    with pytest.raises(ConfigurationError, match="an object of texts and numbers"):
        target(METHOD="GET", BODY='["{question}"]')


def test_what_is_left_out_is_said() -> None:
    [note] = Providers({"TARGET_DESK_ANSWER": "/a"}).notes
    assert "TARGET_DESK_ANSWER is left out: there is no TARGET_DESK_URL" in note
    [note] = providers(TARGET_DESK_ANSWR="/a").notes
    assert "TARGET_DESK_ANSWR is left out: no such variable is known" in note
    # Other programs have variables that begin so.
    assert Providers({"TARGET_PLATFORM_VERSION": "12", "TARGET_ARCH": "x"}).notes == []


def test_names_that_would_collide_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="differ by case only"):
        providers(TARGET_desk_ANSWER="/a")
    with pytest.raises(ConfigurationError, match="cannot be named target"):
        Providers({"PROVIDER_TARGET_BASE_URL": "http://h/v1"})
