"""A provider's quirk is one entry: what it changes, for whom, and how an extension adds one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag_bench.llm.config import known_quirks
from rag_bench.llm.config.known_quirks import QUIRKS, quirks_of
from rag_bench.llm.config.options import Options
from rag_bench.llm.config.quirk import Quirk, family
from rag_bench.llm.config.requests import asked_otherwise, chat_body
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.reading.finish import finish_problem, is_known
from rag_bench.settings import Settings

HERE = Provider("acme", "https://api.acme.example/v1")
SCHEMA = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
MESSAGES = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
PACKAGE = """
from rag_bench.llm.config.quirk import Advice, Ending, Marks, Quirk

QUIRKS = (
    Quirk(
        "acme differs",
        hosts=r"acme\\.example$",
        body={"temperature": None, "fast": True},
        max_tokens_field="limit",
        response_format="json_object",
        system_message="none",
        retried={477: "acme naps"},
        hopeless=("acme_is_broke",),
        advice=(Advice("acme wants a region", "add {prefix}EXTRA_QUERY"),),
        thinking=(Marks("<acme>", "</acme>"),),
        endings={"acme_done": Ending.whole, "acme_cut": Ending.cut},
    ),
)
"""
PROGRAM = """
import json
from rag_bench.llm.config.advice import advise
from rag_bench.llm.config.requests import chat_body
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.reading.finish import finish_problem, is_known
from rag_bench.llm.reading.thinking import cut_thinking
from rag_bench.llm.transport.statuses import RETRIED

here = Provider("acme", "https://api.acme.example/v1")
messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
body = chat_body(here, "m", messages, {"type": "json_schema", "json_schema": {}}, 0.0, 7)
print(json.dumps({
    "body": body,
    "retried": RETRIED[477],
    "advice": advise(here, body, 400, b"Acme wants a region"),
    "answer": cut_thinking("<acme>hm</acme>yes").answer,
    "endings": [is_known("acme_done"), finish_problem("acme_done"), finish_problem("acme_cut")],
}))
"""


def test_an_extension_s_quirk_is_one_file(tmp_path: Path) -> None:
    """Requests, retries, advice, thinking and endings all follow from the one entry."""
    room = tmp_path / "acme_pack" / "quirks"
    room.mkdir(parents=True)
    (tmp_path / "acme_pack" / "__init__.py").touch()
    (room / "__init__.py").touch()
    (room / "acme.py").write_text(PACKAGE, encoding="utf-8")
    environment = {
        **os.environ,
        "RAG_BENCH_EXTENSIONS": "acme_pack",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True, text=True
    )
    said = json.loads(done.stdout)
    [message] = said["body"].pop("messages")
    assert message["role"] == "user"
    assert message["content"].endswith("u")
    assert said["body"] == {
        "model": "m",
        "limit": 7,
        "response_format": {"type": "json_object"},
        "fast": True,
    }
    assert said["retried"] == "acme naps"
    assert said["advice"] == "add PROVIDER_ACME_EXTRA_QUERY"
    assert said["answer"] == "yes"
    known, whole, cut = said["endings"]
    assert known
    assert whole is None
    assert "truncated" in cut


def test_a_quirk_is_meant_by_model_provider_and_host_together() -> None:
    quirk = Quirk("q", models=family("acme-1"), providers="^acme$", hosts=r"\.example$")
    assert quirk.fits(HERE, "vendor/ACME-1:free")
    assert not quirk.fits(HERE, "acme-1x")
    assert not quirk.fits(Provider("acme", "https://api.other.test/v1"), "acme-1")
    assert not quirk.fits(Provider("acme"), "acme-1")
    assert not quirk.fits(Provider("other", HERE.base_url), "acme-1")
    assert not Quirk("of replies only", hopeless=("x",)).fits(HERE, "acme-1")


def test_a_new_quirk_changes_the_address_of_results_and_an_old_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asked_otherwise(HERE, "gpt-5", "benchmark_judge", Settings()) == (
        {"max_tokens": 256 + 4096},
    )
    assert asked_otherwise(HERE, "m", "benchmark_judge", Settings()) == ()
    new = Quirk("new", models="^m$", body={"top_p": 1})
    monkeypatch.setattr(known_quirks, "QUIRKS", (*QUIRKS, new))
    assert asked_otherwise(HERE, "m", "benchmark_judge", Settings()) == (
        {"quirks": [{"body": {"top_p": 1}}]},
    )


def test_a_user_s_variables_are_nearer_than_a_quirk(monkeypatch: pytest.MonkeyPatch) -> None:
    quirk = Quirk(
        "q",
        models="^m$",
        body={"temperature": None},
        max_tokens_field="none",
        response_format="none",
        system_message="developer",
    )
    monkeypatch.setattr(known_quirks, "QUIRKS", (quirk,))
    plain = chat_body(HERE, "m", MESSAGES, SCHEMA, 0.0, 9)
    assert plain.keys() == {"model", "messages"}
    assert plain["messages"][0]["role"] == "developer"
    own = Options(
        body={"temperature": 0.5},
        max_tokens_field="max_tokens",
        response_format="json_schema",
        system_message="system",
    )
    asked = chat_body(Provider("acme", HERE.base_url, options=own), "m", MESSAGES, SCHEMA, 0.0, 9)
    assert asked == {
        "model": "m",
        "messages": MESSAGES,
        "temperature": 0.5,
        "max_tokens": 9,
        "response_format": SCHEMA,
    }


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (
            "openai/o3-mini",
            [
                "reasoning models refuse max_tokens and any temperature but their own",
                "reasoning models think",
            ],
        ),
        ("deepseek-r1", ["reasoning models"]),
        ("Qwen/Qwen3-32B", ["Qwen thinks"]),
        ("grok-4-fast-non-reasoning", []),
        ("gpt-4o", []),
    ],
)
def test_which_quirks_a_model_has(model: str, names: list[str]) -> None:
    assert [quirk.name for quirk in quirks_of(HERE, model)] == names


def test_words_of_one_provider_are_read() -> None:
    assert "truncated" in str(finish_problem("ALTERNATIVE_STATUS_TRUNCATED_FINAL"))
    assert "broke off" in str(finish_problem("insufficient_system_resource"))
    assert is_known("alternative_status_final")
    assert finish_problem("alternative_status_final") is None
