"""Keys and scopes: what a key looks like, and what is kept of it."""

from __future__ import annotations

import string

import pytest

from rag_bench.access.keys import hash_of, id_of, make_key, matches
from rag_bench.access.scopes import ROLES, Scope, chosen, expand
from rag_bench.errors import ConfigurationError


def test_a_key_is_one_word_with_its_id_and_says_when_it_is_mistyped() -> None:
    made = make_key()
    assert made.text.startswith(f"rb_{made.id}_")
    assert set(made.text) <= set(string.ascii_letters + string.digits + "_")
    assert id_of(made.text) == made.id
    for place in range(len(made.text)):
        for other in "aB7":
            changed = made.text[:place] + other + made.text[place + 1 :]
            assert (changed == made.text) or id_of(changed) is None
    for cut in range(len(made.text)):
        assert id_of(made.text[:cut]) is None
    for more in (f"{made.text}a", f"{made.text}\n", f" {made.text}", "", "rb_", "кл_юч"):
        assert id_of(more) is None


def test_the_checksum_is_crc32_in_base_62() -> None:
    # Counted here bit by bit, by the polynomial of IEEE 802.3.
    body = "rb_00000000_" + "0" * 40
    crc = 0xFFFFFFFF
    for byte in body.encode():
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    number, digits = crc ^ 0xFFFFFFFF, ""
    letters = string.digits + string.ascii_letters
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = letters[digit] + digits
    assert id_of(body + digits) == "00000000"


def test_the_stored_hash_knows_its_key_and_no_other() -> None:
    made, other = make_key(), make_key()
    assert made.secret_hash == hash_of(made.text)
    assert made.text not in made.secret_hash
    assert matches(made.text, made.secret_hash)
    assert not matches(other.text, made.secret_hash)
    assert not matches(made.text, None)
    assert len({make_key().text for _ in range(200)}) == 200


def test_roles_are_bundles_and_scopes_hold_nothing_else() -> None:
    assert ROLES["ml-engineer"] == (Scope.READ, Scope.RUN, Scope.RUN_PAID, Scope.LABEL)
    assert ROLES["product"] == (Scope.READ, Scope.RUN, Scope.LABEL)
    assert chosen(["product"], ["admin"]) == (Scope.READ, Scope.RUN, Scope.LABEL, Scope.ADMIN)
    assert chosen([], ["admin"]) == (Scope.ADMIN,)
    assert expand(["run:paid", "product", "openid", "profile"]) == {
        *ROLES["product"],
        Scope.RUN_PAID,
    }
    for roles, scopes, said in (
        (["boss"], [], "ml-engineer, product"),
        ([], ["write"], "run:paid"),
        ([], [], "--role"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            chosen(roles, scopes)
