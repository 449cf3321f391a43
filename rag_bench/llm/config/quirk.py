"""What is different of one provider or one family of models: the form of an entry.

Entries stand in the room `rag_bench.llm.quirks`, and in ``quirks`` of extensions: modules with a
tuple ``QUIRKS``. `rag_bench.llm.config.known_quirks` reads them; nothing else names a family.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rag_bench.llm.config.options import ResponseFormat, SystemMessage
from rag_bench.llm.config.roles import Provider


class Marks(NamedTuple):
    """How a family writes its thinking into the text: regular expressions, read without case.

    ``lone``: the closing mark is one without an opening.
    """

    opening: str
    closing: str
    lone: bool = True


class Ending(StrEnum):
    """What a word for why a reply ended means."""

    whole = "whole"
    cut = "cut"
    withheld = "withheld"
    broken = "broken"


class Advice(NamedTuple):
    """What to do about a refusal whose words fit ``said`` (in lower case).

    ``{prefix}`` in ``add`` stands for ``PROVIDER_<NAME>_``.
    """

    said: str
    add: str


@dataclass(frozen=True, eq=False)  # each is itself, so that what follows from some can be kept
class Quirk:
    """One difference. What is not said is as the protocol has it.

    Of requests (only for what ``models``, ``providers`` and ``hosts`` fit; a user's own variables
    are nearer):

    Attributes:
        name: in a few words.
        models: a regular expression, searched in the model's name as the provider has it.
        providers: likewise, of the provider's name as the environment has it.
        hosts: likewise, of its address' host.
        body: fields of the body; None takes one out that would be sent.
        max_tokens_field: what the longest reply is called in the body; ``none``: it is not sent.
        response_format: what the endpoint takes.
        system_message: the role of the one system message; ``none``: it begins the user's.
        thinks: the models think before they reply, so their replies need room for it.
        in_address: a change of requests is part of the address of results, so that what was
            measured without it is measured again. False only for what has always been so.

    Of replies (whoever sent them: gateways pass them on under other names):

    Attributes:
        retried: statuses that waiting can mend, with the reason.
        hopeless: words in a 429 that waiting cannot mend.
        advice: what to do about refusals.
        thinking: marks of a thinking in the text.
        frames: opening and closing of what stands round the answer behind a thinking.
        endings: words for why a reply ended, in lower case with underscores.
    """

    name: str
    models: str = ""
    providers: str = ""
    hosts: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    max_tokens_field: str | None = None
    response_format: ResponseFormat | None = None
    system_message: SystemMessage | None = None
    thinks: bool = False
    in_address: bool = True
    retried: Mapping[int, str] = field(default_factory=dict)
    hopeless: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    thinking: tuple[Marks, ...] = ()
    frames: tuple[tuple[str, str], ...] = ()
    endings: Mapping[str, Ending] = field(default_factory=dict)

    def fits(self, provider: Provider, model: str) -> bool:
        """Whether the requests to a model are meant; one that names none of the three fits none."""
        if not (self.models or self.providers or self.hosts):
            return False
        host = urlsplit(provider.base_url or "").hostname or ""
        return all(
            re.search(pattern, text) is not None
            for pattern, text in (
                (self.models, model),
                (self.providers, provider.name),
                (self.hosts, host),
            )
            if pattern
        )

    @property
    def changes(self) -> dict[str, Any]:
        """What it changes in a request, for the address of results."""
        found = {
            "body": dict(self.body),
            "max_tokens_field": self.max_tokens_field,
            "response_format": self.response_format,
            "system_message": self.system_message,
            "thinks": self.thinks,
        }
        return {name: value for name, value in found.items() if value}


def family(names: str) -> str:
    """Return the expression for a family of models: its names, standing apart in a model's name."""
    return rf"(?i:(?:^|[/:_.-])(?:{names})(?:$|[^a-z]))"
