"""No escaped form of a key passes, and nothing else is touched."""

from __future__ import annotations

import base64
import html
import json
import string
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.config.roles import check_key
from rag_bench.llm.transport.hiding import HIDDEN, SHORTEST, Hider

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=48)
PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)

Escape = Callable[[str], str]
ESCAPES: dict[str, Escape] = {
    "plain": str,
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "json": json.dumps,
    "json, every letter": lambda text: "".join(f"\\u{ord(c):04x}" for c in text if ord(c) < 65536),
    "url": lambda text: urllib.parse.quote(text, safe=""),
    "form": urllib.parse.quote_plus,
    "url, every letter": lambda text: "".join(f"%{b:02X}" for b in text.encode()),
    "html": html.escape,
    "html, decimal": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "html, hexadecimal": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "upper case": str.upper,
}


def forms(key: str) -> list[str]:
    """How the key looks in each escape, whatever stands before it."""
    found = [escape(key).strip("'\"\n") for name, escape in ESCAPES.items() if "base64" not in name]
    for cut in range(3):
        encoded = base64.b64encode(b"\0" * cut + key.encode()).decode()
        n_bits = (cut + len(key)) * 8
        core = encoded[-(-cut * 8 // 6) : n_bits // 6]
        found += [core, core.translate(str.maketrans("+/", "-_"))]
    return found


@settings(max_examples=80, deadline=None)
@given(
    KEYS,
    PLAIN,
    PLAIN,
    st.lists(st.sampled_from(sorted(ESCAPES)), min_size=1, max_size=1),
    st.sampled_from(["json", "repr", "url", "html", "plain"]),
)
def test_a_key_is_hidden_in_every_form_and_in_forms_of_forms(
    key: str, before: str, after: str, inner: list[str], outer: str
) -> None:
    message = before + key + after
    for name in inner:
        message = ESCAPES[name](message)
    sent = ESCAPES[outer](message)
    shown = Hider([key]).text(sent)
    assert HIDDEN in shown
    folded = "".join(shown.split()).lower()
    assert [form for form in forms(key) if form.lower() in folded] == []


@settings(max_examples=40, deadline=None)
@given(KEYS, st.recursive(st.text(max_size=40), lambda inner: st.lists(inner, max_size=3)))
def test_json_stays_json_and_its_decoded_texts_hold_no_key(key: str, value: object) -> None:
    body = {"error": {"message": f"bad key {key}.", "kept": value}, key: [1, 2.5, None, True]}
    for encoding in ("utf-8", "utf-16", "utf-32"):
        text = json.dumps(body, ensure_ascii=encoding == "utf-16")
        content = Hider([key]).content(text.encode(encoding, errors="surrogatepass"))
        read = json.loads(content)
        assert read["error"]["message"] == f"bad key {HIDDEN}."
        assert list(read) == ["error", HIDDEN]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200), KEYS)
def test_a_text_without_the_key_is_untouched(text: str, key: str) -> None:
    hider = Hider([f"sk-{key}-9Zq"])
    assert hider.text(text) == text
    content = json.dumps(text).encode()
    assert hider.content(content) is content


def test_a_match_that_begins_inside_an_escape_leaves_the_json_readable() -> None:
    key = "41bcdefgh0123"
    content = b'{"a": "\\u0041bcdefgh0123", "b": "41bcdefgh0123"}'
    assert json.loads(Hider([key]).content(content)) == {"a": "Abcdefgh0123", "b": HIDDEN}


def test_short_placeholders_of_local_servers_are_no_secrets() -> None:
    assert Hider(["EMPTY", "x" * (SHORTEST - 1)]).text("EMPTY xxxxxxx") == "EMPTY xxxxxxx"


def test_an_exception_and_all_behind_it_lose_the_key() -> None:
    key = "sk-planted-0123456789"
    cause = ValueError(f"Illegal header value b'Bearer {key}'", 7, key.encode())
    error = ExceptionGroup("many", [KeyError(key)])
    error.__cause__ = cause
    cause.__context__ = error  # a ring
    Hider([key]).error(error)
    assert key not in repr([error, cause])
    assert cause.args[1] == 7


def test_the_largest_reply_of_escapes_takes_no_quadratic_time() -> None:
    hider = Hider(["sk-planted-0123456789"])
    for text in ("\\" * 100_000, "\\u0073" * 20_000, "%25" * 5_000, "&amp;" * 5_000):
        assert hider.text(text) == text


BAD = ["\n", "\r", "\r\n", "\t", " ", "\x00", "\x1b", "\x7f", "\x85", "\u00a0", "\u200b", "é", "к"]


@pytest.mark.parametrize("letter", BAD)
@pytest.mark.parametrize(
    "variable",
    ["PROVIDER_X_API_KEY", "GENERATION_API_KEY", "JUDGE_API", "BENCHMARKS_JUDGE_API_KEY"],
)
def test_a_key_with_a_letter_that_no_key_has_is_refused_unseen(letter: str, variable: str) -> None:
    environment = {variable: f"sk-first{letter}second", "PROVIDER_X_BASE_URL": "http://x/v1"}
    with pytest.raises(ConfigurationError, match=f"^{variable} holds a ") as failed:
        Providers(environment)
    assert not [part for part in ("sk-", "first", "second") if part in str(failed.value)]


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {} ", "\n{}\t"])
def test_a_line_end_of_echo_is_no_part_of_the_key(around: str) -> None:
    providers = Providers(
        {"PROVIDER_X_API_KEY": around.format("sk-first"), "PROVIDER_X_BASE_URL": "http://x/v1"}
    )
    key = providers.provider("x").api_key
    assert key is not None
    assert key.get_secret_value() == "sk-first"


def test_every_printable_letter_of_ascii_may_stand_in_a_key() -> None:
    key = string.ascii_letters + string.digits + string.punctuation
    assert check_key(key, "X") == key
