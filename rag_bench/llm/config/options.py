"""What a provider's variables change in its requests, for all of its models or for some.

``PROVIDER_<NAME>_EXTRA_BODY``, ``_EXTRA_HEADERS`` and ``_EXTRA_QUERY`` are JSON objects;
``PROVIDER_<NAME>_MODEL_OPTIONS`` is one of model names (``*`` stands for any letters) with the same
and more, see `MODEL_FIELDS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from rag_bench.errors import ConfigurationError

ResponseFormat = Literal["json_schema", "json_object", "none"]
SystemMessage = Literal["system", "developer", "none"]

#: Roles with a limit of their own; the same words as `rag_bench.llm.config.roles.Role`.
_ROLES = ("generation", "benchmark_judge", "production_judge", "dataset")
#: Of the body, what is ours alone: the answer would be another one, or none that can be read.
_OURS = ("model", "messages", "n")
# The body is stored with each call, so nothing secret may be in it.
SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:api-?_?key|key|authorization|password|secret|credentials?|token|sig|signature)$",
    re.IGNORECASE,
)
# Headers that say who calls and hold no secret: their words may stand in answers.
_PUBLIC_HEADERS = frozenset(
    [
        "http-referer",
        "referer",
        "x-title",
        "user-agent",
        "accept",
        "accept-language",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "anthropic-version",
    ]
)
_RESERVED_HEADERS = frozenset(
    [
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "host",
        "accept-encoding",
        "connection",
    ]
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Options:
    """Changes of a request. None means: not said here.

    Attributes:
        body: fields of the body; None removes one that would be sent.
        headers: likewise of the headers; never stored, and hidden where they come back.
        query: added to the address; what is no secret is part of the ledger's key.
        max_tokens: the longest reply, by role; "" stands for every role.
        max_tokens_field: the field's name in the body; ``none``: it is not sent.
        response_format: what the endpoint takes.
        system_message: the role of the one system message; ``none``: it begins the user's.
        reasoning: whether the model thinks before it replies.
    """

    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_tokens: Mapping[str, int] = field(default_factory=dict)
    max_tokens_field: str | None = None
    response_format: ResponseFormat | None = None
    system_message: SystemMessage | None = None
    reasoning: bool | None = None

    def over(self, other: Options) -> Options:
        """Return the other's options with these on top."""
        return Options(
            {**other.body, **self.body},
            {**other.headers, **self.headers},
            {**other.query, **self.query},
            # A limit for all roles is nearer than the other's for one.
            {**({} if "" in self.max_tokens else other.max_tokens), **self.max_tokens},
            self.max_tokens_field or other.max_tokens_field,
            self.response_format or other.response_format,
            self.system_message or other.system_message,
            other.reasoning if self.reasoning is None else self.reasoning,
        )

    @property
    def public_query(self) -> dict[str, str]:
        """The query without what looks like a key."""
        return {k: v for k, v in self.query.items() if not SECRET_NAME.search(k)}

    def secrets(self) -> list[str]:
        """Return what may not be repeated in a text: header values, and keys in the query."""
        found = [v for k, v in self.query.items() if SECRET_NAME.search(k)]
        for name, value in self.headers.items():
            if value and name not in _PUBLIC_HEADERS:
                found += [value, *value.split()]  # "Bearer …" and what follows
        return found


Read = Callable[[Any, str], Any]


def read_json(text: str, variable: str) -> dict[str, Any]:
    """Read a variable that holds a JSON object.

    Raises:
        ConfigurationError: it does not; the value is not repeated, as it may hold a key.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = (
            f" (at character {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else ""
        )
        raise ConfigurationError(
            f"{variable} is no JSON{place}. Write an object, for example "
            f'{variable}=\'{{"name": "value"}}\', in single quotes and on one line.'
        ) from None
    return _object(value, variable)


def read_body(value: Any, variable: str) -> dict[str, Any]:
    """Read fields of the body."""
    body = _object(value, variable)
    for name in body:
        if not _FIELD_NAME.fullmatch(name):
            raise ConfigurationError(f"{variable} has a field that cannot be named so.")
        if name in _OURS:
            raise ConfigurationError(f"{variable} may not set {name!r}: the benchmark does.")
    if body.get("stream"):
        raise ConfigurationError(f"{variable} may not set stream: replies are read whole.")
    _refuse_secrets(body, variable)
    return body


def read_headers(value: Any, variable: str) -> dict[str, str | None]:
    """Read headers, by lower-case name."""
    headers: dict[str, str | None] = {}
    for name, text in _object(value, variable).items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{variable} has a header that cannot be named so.")
        if name.lower() in _RESERVED_HEADERS:
            raise ConfigurationError(f"{variable} may not set {name!r}: the client does.")
        if text is not None:
            text = _text(text, variable, name)
            if not all(" " <= letter <= "~" for letter in text):
                raise ConfigurationError(
                    f"{variable}: {name!r} holds a line end, a control character or a letter "
                    "outside of ASCII, which no header can carry."
                )
        headers[name.lower()] = text
    return headers


def read_query(value: Any, variable: str) -> dict[str, str]:
    """Read what is added to the address."""
    query = _object(value, variable).items()
    return {name: _text(text, variable, name) for name, text in query}


def read_max_tokens(value: Any, variable: str) -> dict[str, int]:
    """Read the longest reply: a number for every role, or an object of roles."""
    given = value if isinstance(value, dict) else {"": value}
    for role, number in given.items():
        if role and role not in _ROLES:
            raise ConfigurationError(f"{variable}: no role {role!r}; there are {_list(_ROLES)}.")
        if type(number) is not int or not 0 < number <= 10_000_000:
            raise ConfigurationError(f"{variable} must be a positive whole number of tokens.")
    return dict(given)


def read_max_tokens_field(value: Any, variable: str) -> str:
    """Read the limit's name in the body."""
    if not isinstance(value, str) or not _FIELD_NAME.fullmatch(value) or value in _OURS:
        raise ConfigurationError(
            f"{variable} must be max_tokens, max_completion_tokens or another field, or none."
        )
    return value


def _choice(choices: tuple[str, ...]) -> Read:
    def read(value: Any, variable: str) -> str:
        chosen = value.strip().lower() if isinstance(value, str) else None
        if chosen not in choices:
            raise ConfigurationError(f"{variable} must be {_list(choices, 'or')}.")
        return str(chosen)

    return read


def _flag(value: Any, variable: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{variable} must be true or false.")
    return value


read_response_format = _choice(get_args(ResponseFormat))
read_system_message = _choice(get_args(SystemMessage))

#: Of one entry of MODEL_OPTIONS: its name there, the field of `Options`, and how it is read.
MODEL_FIELDS: Mapping[str, tuple[str, Read]] = {
    "body": ("body", read_body),
    "headers": ("headers", read_headers),
    "query": ("query", read_query),
    "max_tokens": ("max_tokens", read_max_tokens),
    "max_tokens_field": ("max_tokens_field", read_max_tokens_field),
    "response_format": ("response_format", read_response_format),
    "system_message": ("system_message", read_system_message),
    "reasoning": ("reasoning", _flag),
}

#: Of a provider, PROVIDER_<NAME>_…: JSON variables, then plain words.
_JSON_VARIABLES: Mapping[str, tuple[str, Read]] = {
    "EXTRA_BODY": ("body", read_body),
    "EXTRA_HEADERS": ("headers", read_headers),
    "EXTRA_QUERY": ("query", read_query),
}
_WORD_VARIABLES: Mapping[str, tuple[str, Read]] = {
    "MAX_TOKENS_FIELD": ("max_tokens_field", read_max_tokens_field),
    "SYSTEM_MESSAGE": ("system_message", read_system_message),
}
_LIMIT_VARIABLES = {"MAX_TOKENS": "", **{f"MAX_TOKENS_{role.upper()}": role for role in _ROLES}}
VARIABLES = (*_JSON_VARIABLES, *_WORD_VARIABLES, *_LIMIT_VARIABLES, "MODEL_OPTIONS")


def read_options(values: Mapping[str, str], prefix: str) -> Options:
    """Read a provider's variables, by their names behind ``prefix``.

    Raises:
        ConfigurationError: one that cannot be meant, named, without its value.
    """
    fields: dict[str, Any] = {}
    for what, (name, read) in _JSON_VARIABLES.items():
        if what in values:
            fields[name] = read(read_json(values[what], prefix + what), prefix + what)
    for what, (name, read) in _WORD_VARIABLES.items():
        if what in values:
            fields[name] = read(values[what], prefix + what)
    limits: dict[str, int] = {}
    for what, role in _LIMIT_VARIABLES.items():
        if what in values:
            number = int(values[what]) if values[what].isdecimal() else None
            limits[role] = read_max_tokens(number, prefix + what)[""]
    return Options(**fields, max_tokens=limits)


def read_model_options(text: str, variable: str) -> tuple[tuple[str, Options], ...]:
    """Read MODEL_OPTIONS: names and their options, the exact names last, as they beat patterns."""
    found: list[tuple[str, Options]] = []
    for pattern, given in read_json(text, variable).items():
        where = f"{variable}, {pattern!r}"
        options = Options()
        for name, value in _object(given, where).items():
            if name not in MODEL_FIELDS:
                raise ConfigurationError(
                    f"{where}: no option {name!r}; there are {_list(tuple(MODEL_FIELDS))}."
                )
            target, read = MODEL_FIELDS[name]
            options = replace(options, **{target: read(value, f"{where}, {name!r}")})
        found.append((pattern, options))
    return tuple(sorted(found, key=lambda entry: (entry[0].count("*") == 0, len(entry[0]))))


def fits(pattern: str, model: str) -> bool:
    """Whether a name of MODEL_OPTIONS means a model; ``*`` stands for any letters."""
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), model, re.IGNORECASE) is not None


def _object(value: Any, variable: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{variable} must be a JSON object, {{…}}.")
    return value


def _text(value: Any, variable: str, name: str) -> str:
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"{variable}: the value of {name!r} must be a text.")
    return str(value)


def _refuse_secrets(value: Any, variable: str) -> None:
    for name, inner in value.items() if isinstance(value, dict) else ():
        if SECRET_NAME.search(name) and isinstance(inner, str):
            raise ConfigurationError(
                f"{variable}: {name!r} looks like a secret, and bodies are stored with each call. "
                "Put it into EXTRA_HEADERS, or into the API_KEY."
            )
        _refuse_secrets(inner, variable)
    for inner in value if isinstance(value, list) else ():
        _refuse_secrets(inner, variable)


def _list(words: tuple[str, ...], last: str = "and") -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
