"""The environment's variables of live assistants, read: addresses, templates, pointers, headers.

``TARGET_<NAME>_URL`` makes one; its key is ``target/<name>``. The other variables are those of
`VARIABLES`. Where an answer or a context stands in the reply is said by a JSON Pointer (RFC 6901),
in which ``*`` means each element of a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit

from jsonpointer import JsonPointer, JsonPointerException
from pydantic import SecretStr

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.options import SECRET_NAME, read_headers, read_json
from rag_bench.llm.config.roles import Provider, Role, parse_names, positive, whole
from rag_bench.llm.config.targets import (
    PREFIX,
    QUESTION,
    REFUSAL,
    SIMILARITY,
    Method,
    Stream,
    Target,
)

#: Calls in flight, if nothing else is said: people use the assistant at the same time.
CONCURRENCY = 4
VARIABLES = (
    *("URL", "METHOD", "BODY", "ANSWER", "CONTEXTS", "IDS", "STREAM", "HEADERS"),
    *("TIMEOUT", "CONCURRENCY", "RPM", "CA_FILE", "REFUSALS", "SIMILARITY", "VERSION"),
)
_VARIABLE = re.compile(rf"TARGET_(?P<name>.+?)_(?P<what>{'|'.join(VARIABLES)})")
_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


def read_targets(environment: Mapping[str, str]) -> tuple[dict[str, Provider], list[str]]:
    """Return the assistants that a cleaned environment names, by their keys, and remarks.

    Raises:
        ConfigurationError: a variable that cannot be meant: which, what is wrong, an example.
    """
    given: dict[str, dict[str, str]] = {}
    spelling: dict[str, str] = {}
    notes: list[str] = []
    for variable in sorted(environment):
        match = _VARIABLE.fullmatch(variable)
        if not match:
            continue
        written, name = match["name"], match["name"].lower()
        if spelling.setdefault(name, written) != written:
            raise ConfigurationError(
                f"{variable} and TARGET_{spelling[name]}_… differ by case only, and names of "
                "targets are case-insensitive; keep one spelling."
            )
        given.setdefault(name, {})[match["what"]] = environment[variable]
    found: dict[str, Provider] = {}
    for name, values in given.items():
        if "URL" not in values:
            # Others may have variables that begin so; ours are not alone without an address.
            if {"ANSWER", "BODY", "CONTEXTS", "IDS", "HEADERS"} & values.keys():
                first = f"TARGET_{spelling[name]}_{next(iter(values))}"
                notes.append(
                    f"{first} is left out: there is no TARGET_{spelling[name]}_URL "
                    "(for example https://help.example.org/api/ask)."
                )
            continue
        found[PREFIX + name] = _provider(name, f"TARGET_{spelling[name]}_", values, environment)
    notes += _misspelt(environment, [spelling[key.removeprefix(PREFIX)] for key in found])
    return found, notes


def _misspelt(environment: Mapping[str, str], names: list[str]) -> Iterator[str]:
    for variable in sorted(environment):
        if _VARIABLE.fullmatch(variable):
            continue
        if any(variable.startswith(f"TARGET_{name}_") for name in names):
            known = ", ".join(VARIABLES)
            yield f"{variable} is left out: no such variable is known; there are {known}."


def _provider(
    name: str, prefix: str, values: Mapping[str, str], environment: Mapping[str, str]
) -> Provider:
    parse_names(name, f"{prefix}URL")
    if "/" in name:
        raise ConfigurationError(f"{prefix}URL: a target's name cannot hold a slash.")
    url = read_url(values["URL"], f"{prefix}URL")
    method = _one_of(values.get("METHOD", "POST").upper(), get_args(Method), f"{prefix}METHOD")
    body: Any = {"question": QUESTION}
    if "BODY" in values:
        body = read_template(values["BODY"], f"{prefix}BODY", method)
    headers: dict[str, str] = {}
    secrets: list[SecretStr] = []
    public: dict[str, str] = {}
    if "HEADERS" in values:
        headers, public, secrets = _headers(values["HEADERS"], f"{prefix}HEADERS", environment)
    pointers = {
        what.lower(): read_pointer(values[what], f"{prefix}{what}")
        for what in ("ANSWER", "CONTEXTS", "IDS")
        if what in values
    }
    similarity = SIMILARITY
    if "SIMILARITY" in values:
        similarity = positive(values["SIMILARITY"], f"{prefix}SIMILARITY")
        if similarity > 1:
            raise ConfigurationError(
                f"{prefix}SIMILARITY is a share, above 0 and at most 1, for example 0.6."
            )
    refusals = tuple(p.strip() for p in values.get("REFUSALS", REFUSAL).split("|"))
    target = Target(
        name,
        url,
        method,  # type: ignore[arg-type]
        body,
        headers=headers,
        public_headers=public,
        secrets=tuple(secrets),
        stream=_one_of(values.get("STREAM", "deltas").lower(), get_args(Stream), f"{prefix}STREAM"),  # type: ignore[arg-type]
        refusals=tuple(phrase for phrase in refusals if phrase),
        similarity=similarity,
        version=values.get("VERSION", ""),
        **pointers,
    )
    timeout = values.get("TIMEOUT")
    concurrency, rpm = values.get("CONCURRENCY"), values.get("RPM")
    return Provider(
        target.key,
        url,
        concurrency=whole(concurrency, f"{prefix}CONCURRENCY") if concurrency else CONCURRENCY,
        timeout_seconds=positive(timeout, f"{prefix}TIMEOUT") if timeout else None,
        rpm=positive(rpm, f"{prefix}RPM") if rpm else None,
        ca_file=values.get("CA_FILE"),
        kind="target",
        target=target,
        models={Role.generation: (target.key,)},
    )


def read_url(value: str, variable: str) -> str:
    """Return an assistant's address; its query may hold no secret.

    Raises:
        ConfigurationError: not an http(s) address, or one with a password, a fragment or a key.
    """
    example = "for example https://help.example.org/api/ask"
    try:
        parts = urlsplit(value.strip())
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"{variable} is not an address; {example}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in value.strip():
        # The value is not repeated: a key pasted into the wrong variable would be printed.
        raise ConfigurationError(f"{variable} is not an http(s) address; {example}.")
    header = variable.replace("_URL", "_HEADERS")
    if parts.username or parts.password:
        raise ConfigurationError(
            f"{variable} holds a password, and addresses are stored with each call; send it in "
            f"{header}, for example {header}='Authorization=Basic $HELP_BASIC'."
        )
    if parts.fragment:
        raise ConfigurationError(
            f"{variable} has a fragment (#…), which no server gets; {example}."
        )
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if SECRET_NAME.search(name):
            raise ConfigurationError(
                f"{variable}: {name!r} in its query looks like a secret, and addresses are stored "
                f"with each call; send it in {header}, for example {header}='X-API-Key=$HELP_KEY'."
            )
    return value.strip()


def read_template(text: str, variable: str, method: str) -> Any:
    """Return a body's template: JSON with `QUESTION` inside at least one text.

    Raises:
        ConfigurationError: no JSON, no place for the question, or no object for a query.
    """
    example = f'{variable}=\'{{"question": "{QUESTION}"}}\''
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" (character {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigurationError(
            f"{variable} is no JSON{place}; for example {example}, in single quotes."
        ) from None
    if not any(QUESTION in part for part in _texts(body)):
        raise ConfigurationError(
            f"{variable} has no {QUESTION} inside a text, so every question would be the same; "
            f"for example {example}."
        )
    if method == "GET" and not (
        isinstance(body, dict)
        and all(isinstance(v, str | int | float | bool) for v in body.values())
    ):
        raise ConfigurationError(
            f"{variable}: the method GET sends fields in the query, so it must be an object of "
            f"texts and numbers; for example {example}."
        )
    _refuse_secrets(body, variable)
    return body


def read_pointer(text: str, variable: str) -> str:
    """Return a JSON Pointer; `parts_of` takes it apart.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        JsonPointer(text)
    except JsonPointerException:
        raise ConfigurationError(
            f"{variable} is {text!r}, which is no JSON Pointer: it begins with a slash, as /answer "
            "or /sources/*/text (* means each element of a list; ~1 is a slash, ~0 a tilde)."
        ) from None
    return text


def _headers(
    text: str, variable: str, environment: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], list[SecretStr]]:
    """Return all headers, those without a secret, and the secrets."""
    if text.lstrip().startswith("{"):
        given = read_json(text, variable)
    else:
        given = {}
        for entry in filter(None, (entry.strip() for entry in text.split(";"))):
            name, equals, value = entry.partition("=")
            if not equals:
                raise ConfigurationError(
                    f"{variable} has an entry without '='; for example "
                    f"{variable}='Authorization=Bearer $HELP_TOKEN; X-Tenant=students'."
                )
            given[name.strip()] = value.strip()
    secrets: list[SecretStr] = []
    filled: dict[str, str] = {}
    public: dict[str, str] = {}
    for name, value in given.items():
        wanted = [a or b for a, b in _REFERENCE.findall(str(value))]
        for one in wanted:
            if not environment.get(one):
                raise ConfigurationError(
                    f"{variable}: {name!r} is made from the environment variable {one}, which is "
                    f"not set. Set it, for example {one}=… in .env.benchmark-models."
                )
        if not wanted and (SECRET_NAME.search(name) or name.lower() == "cookie"):
            raise ConfigurationError(
                f"{variable}: the value of {name!r} is written out; name the environment variable "
                f"that holds it, for example {variable}='{name}=$HELP_TOKEN'."
            )
        value = _REFERENCE.sub(lambda m: environment[m[1] or m[2]], str(value))
        filled[name] = value
        if wanted:
            secrets += [SecretStr(environment[one]) for one in wanted]
            secrets.append(SecretStr(value))
        else:
            public[name.lower()] = value
    checked = read_headers(filled, variable)
    return {n: v for n, v in checked.items() if v is not None}, public, secrets


def _one_of(value: str, allowed: tuple[str, ...], variable: str) -> str:
    if value not in allowed:
        raise ConfigurationError(
            f"{variable} is {value!r}; it can be {' or '.join(allowed)}, for example "
            f"{variable}={allowed[0]}."
        )
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)


def _refuse_secrets(value: Any, variable: str) -> None:
    """Refuse what looks like a key: bodies are stored with each call."""
    if isinstance(value, list):
        for inner in value:
            _refuse_secrets(inner, variable)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if SECRET_NAME.search(name) and isinstance(inner, str) and QUESTION not in inner:
                header = variable.replace("_BODY", "_HEADERS")
                raise ConfigurationError(
                    f"{variable}: {name!r} looks like a secret, and bodies are stored with each "
                    f"call; send it in {header}, for example {header}='X-API-Key=$HELP_KEY'."
                )
            _refuse_secrets(inner, variable)
