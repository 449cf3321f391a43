"""The vocabulary of the model settings: roles, providers, prices, and how their texts are read.

A trap that the variables' names set: ``JUDGE_MODEL`` and ``<NAME>_JUDGE_MODELS`` mean the
*production* judge, which decides whether an answer is shown; the judge that scores answers is
``BENCHMARKS_JUDGE_MODEL`` and ``<NAME>_BM_JUDGE_MODELS``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config import offline
from rag_bench.llm.config.options import Options, ResponseFormat, fits

if TYPE_CHECKING:
    from rag_bench.llm.config.targets import Target


class Role(StrEnum):
    """What a model is used for. The writer of synthetic questions is ``dataset``."""

    generation = "generation"
    benchmark_judge = "benchmark_judge"
    production_judge = "production_judge"
    dataset = "dataset"


@dataclass(frozen=True)
class RoleVariables:
    """Where a role's settings are read; of several names for one thing the first set one counts."""

    model: str
    keys: tuple[str, ...]
    urls: tuple[str, ...]
    list_suffix: str  # of <NAME>_<suffix>
    offline: tuple[str, ...]  # what runs where nothing is configured
    all_offline: tuple[str, ...]


ROLE_VARIABLES: Mapping[Role, RoleVariables] = {
    Role.generation: RoleVariables(
        "GENERATION_MODEL",
        ("GENERATION_API_KEY",),
        ("GENERATION_API_URL", "GENERATION_BASE_URL"),
        "GEN_MODELS",
        offline.GENERATORS,
        offline.ALL_GENERATORS,
    ),
    Role.benchmark_judge: RoleVariables(
        "BENCHMARKS_JUDGE_MODEL",
        ("BENCHMARKS_JUDGE_API_KEY",),
        ("BENCHMARKS_JUDGE_BASE_URL", "BENCHMARKS_JUDGE_API_URL"),
        "BM_JUDGE_MODELS",
        offline.BENCHMARK_JUDGES,
        offline.ALL_BENCHMARK_JUDGES,
    ),
    Role.production_judge: RoleVariables(
        "JUDGE_MODEL",
        ("JUDGE_API", "JUDGE_API_KEY"),
        ("JUDGE_BASE_URL", "JUDGE_API_URL"),
        "JUDGE_MODELS",
        offline.PRODUCTION_JUDGES,
        offline.ALL_PRODUCTION_JUDGES,
    ),
    Role.dataset: RoleVariables(
        "DATASET_MODEL",
        ("DATASET_API_KEY",),
        ("DATASET_BASE_URL", "DATASET_API_URL"),
        "DATASET_MODELS",
        (),
        offline.ALL_BENCHMARK_JUDGES,
    ),
}

_CHAT_PATH = "/chat/completions"
_FORBIDDEN_IN_NAME = re.compile(r"[|,\[\]\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAX_NAME_LENGTH = 200


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens, and for a call and a reranker's search unit; as of when,
    and who says so.
    """

    prompt: Decimal
    completion: Decimal
    as_of: date | None = None
    source: str | None = None
    call: Decimal = Decimal(0)
    search_unit: Decimal = Decimal(0)


@dataclass(frozen=True)
class Provider:
    """One endpoint: of the OpenAI chat protocol, or a live assistant (`target`). Its key goes to
    ``base_url`` only.
    """

    name: str
    base_url: str | None = None  # without /chat/completions and without a slash at the end
    api_key: SecretStr | None = None
    concurrency: int | None = None  # None: the general setting
    timeout_seconds: float | None = None
    rpm: float | None = None  # requests and tokens a minute, where they are known
    tpm: float | None = None
    # What the endpoint accepts as `response_format`; None: as its quirks say, else a JSON schema.
    response_format: ResponseFormat | None = None
    # What its variables change in requests: of all models, and of those that a pattern means.
    options: Options = field(default_factory=Options)
    model_options: tuple[tuple[str, Options], ...] = ()
    ca_file: str | None = None  # certificates to trust for this provider
    kind: Literal["http", "simulator", "target"] = "http"
    target: Target | None = None
    models: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)  # full keys, by role

    def secrets(self) -> list[str]:
        """Return everything that may not be repeated in a text."""
        if self.target is not None:
            found = [secret.get_secret_value() for secret in self.target.secrets]
            return [part for text in found for part in (text, *text.split())]
        found = [self.api_key.get_secret_value()] if self.api_key else []
        for options in (self.options, *(options for _, options in self.model_options)):
            found += options.secrets()
        return found

    def matching(self, model: str) -> list[tuple[str, Options]]:
        """Return the entries of MODEL_OPTIONS that mean a model; a later one beats those before."""
        return [entry for entry in self.model_options if fits(entry[0], model)]

    def options_for(self, model: str) -> Options:
        """Return what the variables change in a model's requests."""
        options = self.options
        for _, own in self.matching(model):
            options = own.over(options)
        return options

    @property
    def recorded_name(self) -> str:
        """Its name in the ledger, where the model's name stands beside it."""
        return self.name.partition("/")[0] if self.target is not None else self.name

    def variable(self, what: str) -> str:
        """Return the name of one of its variables in the environment."""
        if self.target is not None:
            return self.target.variable(what)
        return f"PROVIDER_{self.name.upper()}_{what}"

    def require_target(self) -> Target:
        """Return the assistant that it is.

        Raises:
            ConfigurationError: it is a provider of chat models.
        """
        if self.target is None:
            raise ConfigurationError(f"{self.name!r} is no live assistant (TARGET_<NAME>_URL).")
        return self.target

    def require_base_url(self) -> str:
        """Return the base URL.

        Raises:
            ConfigurationError: none is configured.
        """
        if self.base_url is None:
            upper = self.name.upper()
            raise ConfigurationError(
                f"Provider {self.name!r} has a key but no address. Set PROVIDER_{upper}_BASE_URL "
                f"(…/v1) or PROVIDER_{upper}_API_URL (…{_CHAT_PATH})."
            )
        return self.base_url


def check_key(value: str, variable: str) -> str:
    """Return a key that can be sent as a header; white space around it is no part of it.

    Raises:
        ConfigurationError: a character that no key has, naming ``variable`` and never the value.
    """
    key = value.strip()
    for place, letter in enumerate(key, start=1):
        if "!" <= letter <= "~":
            continue
        if letter in "\r\n\u2028\u2029\x85":
            what = "a line end"
        elif letter.isspace():
            what = "a blank"
        elif ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0:
            what = "a control character"
        else:
            what = "a letter or sign outside of ASCII"
        raise ConfigurationError(
            f"{variable} holds {what} (character {place} of {len(key)}), which no key has. "
            "Was it copied with something beside it, or broken into two lines?"
        )
    return key


def parse_base_url(value: str, variable: str) -> str:
    """Return the base of an API address: ``…/chat/completions`` and closing slashes are cut.

    Raises:
        ConfigurationError: not an http(s) address, or one that carries a password or a query.
    """
    try:
        parts = urlsplit(value.strip())
        port = parts.port
    except ValueError:
        raise ConfigurationError(
            f"{variable} is not an address: expected https://host/v1."
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # The value is not repeated: a key pasted into the wrong variable would be printed.
        raise ConfigurationError(f"{variable} is not an address: expected https://host/v1.")
    if parts.username or parts.password:
        raise ConfigurationError(f"{variable} holds a password; use the key variable instead.")
    if parts.query or parts.fragment:
        raise ConfigurationError(
            f"{variable} has a query or fragment. Put a query into PROVIDER_<NAME>_EXTRA_QUERY, "
            'as JSON: {"api-version": "…"}.'
        )
    path = parts.path.rstrip("/")
    if path.endswith(_CHAT_PATH):
        path = path[: -len(_CHAT_PATH)].rstrip("/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}{f':{port}' if port not in (None, default_port) else ''}{path}"


def parse_names(value: str, variable: str) -> list[str]:
    """Return the model names of a comma-separated list, in order, without repeats.

    Raises:
        ConfigurationError: a name that cannot be a partition key, naming ``variable``.
    """
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if not name:
            raise ConfigurationError(f"{variable} has an empty model name (a stray comma?).")
        if _FORBIDDEN_IN_NAME.search(name) or "..." in name:
            raise ConfigurationError(
                f"{variable}: {name!r} cannot be a model name here; control characters and "
                "| , [ ] ... have a meaning in Dagster's partition keys."
            )
        if len(name) > _MAX_NAME_LENGTH:
            raise ConfigurationError(
                f"{variable} has a model name of {len(name)} characters; "
                f"at most {_MAX_NAME_LENGTH} are allowed."
            )
    return list(dict.fromkeys(names))


def positive(value: str, variable: str) -> float:
    """Read a positive number.

    Raises:
        ConfigurationError: it is none, naming ``variable``.
    """
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ConfigurationError(f"{variable} must be a positive number.")
    return number


def whole(value: str, variable: str) -> int:
    """Read a positive whole number; errors as of `positive`."""
    number = positive(value, variable)
    if number != int(number):
        raise ConfigurationError(f"{variable} must be a whole number.")
    return int(number)
