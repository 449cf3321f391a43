"""The environment's variables of providers, read: addresses, keys, limits, options, model lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from pydantic import SecretStr

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config import offline
from rag_bench.llm.config.options import (
    VARIABLES,
    read_model_options,
    read_options,
    read_response_format,
)
from rag_bench.llm.config.roles import (
    ROLE_VARIABLES,
    Provider,
    Role,
    check_key,
    parse_base_url,
    parse_names,
    positive,
    whole,
)

_PLAIN = ("API_KEY", "BASE_URL", "API_URL", "CONCURRENCY", "RPM", "TPM", "TIMEOUT_SECONDS")
PROVIDER_VARIABLE = re.compile(
    rf"PROVIDER_(?P<name>.+?)_"
    rf"(?P<what>{'|'.join((*_PLAIN, 'RESPONSE_FORMAT', 'CA_FILE', *VARIABLES))})"
)

_NUMBERS: Mapping[str, tuple[str, Callable[[str, str], float]]] = {
    "CONCURRENCY": ("concurrency", whole),
    "RPM": ("rpm", positive),
    "TPM": ("tpm", positive),
    "TIMEOUT_SECONDS": ("timeout_seconds", positive),
}


class ReadProviders:
    """What a cleaned environment says of providers.

    Attributes:
        by_name: the simulator first, then those of PROVIDER_ variables by name, then those that
            are known by a role's own address only.
        without_address: those of whom neither address nor key is set, but limits or the like:
            no chat models, though perhaps a reranker with an address of its own.
        notes: remarks on what was left out and why.

    Raises:
        ConfigurationError: a variable that cannot be meant, named in the message.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.notes: list[str] = []
        self.without_address: dict[str, Provider] = {}
        self.by_name = self._read_providers()
        self._add_providers_of_roles()
        self._read_lists()

    def _read_providers(self) -> dict[str, Provider]:
        spelling: dict[str, str] = {offline.SIMULATOR: offline.SIMULATOR.upper()}
        found: dict[str, dict[str, str]] = {}
        for variable in sorted(self._environment):
            match = PROVIDER_VARIABLE.fullmatch(variable)
            if not match:
                if re.match(r"PROVIDER_.+_", variable):
                    self.notes.append(f"{variable} is left out: no such variable is known.")
                continue
            written = match["name"]
            name = written.lower()
            if spelling.setdefault(name, written) != written:
                raise ConfigurationError(
                    f"{variable} and PROVIDER_{spelling[name]}_… differ by case only, and provider "
                    "names are case-insensitive; keep one spelling."
                )
            parse_names(name, variable)
            if "/" in name:
                raise ConfigurationError(f"{variable}: a provider's name cannot hold a slash.")
            found.setdefault(name, {})[match["what"]] = self._environment[variable]
        providers = {
            offline.SIMULATOR: Provider(
                offline.SIMULATOR,
                offline.SIMULATOR_BASE_URL,
                SecretStr("offline"),
                kind="simulator",
            )
        }
        for name in sorted(found):
            providers[name] = self._provider_of(name, found[name], providers.get(name))
        for name in list(providers):
            if providers[name].base_url is None and providers[name].api_key is None:
                self.without_address[name] = providers.pop(name)
        return providers

    def _provider_of(self, name: str, values: dict[str, str], base: Provider | None) -> Provider:
        prefix = f"PROVIDER_{name.upper()}_"
        urls = {
            parse_base_url(values[what], f"{prefix}{what}")
            for what in ("BASE_URL", "API_URL")
            if what in values
        }
        if len(urls) > 1:
            raise ConfigurationError(f"{prefix}BASE_URL and {prefix}API_URL name two addresses.")
        provider = base or Provider(name)
        if urls:
            provider = replace(provider, base_url=urls.pop(), kind="http")
        if "API_KEY" in values:
            key = check_key(values["API_KEY"], f"{prefix}API_KEY")
            provider = replace(provider, api_key=SecretStr(key))
        numbers = {
            field: read(values[what], f"{prefix}{what}")
            for what, (field, read) in _NUMBERS.items()
            if what in values
        }
        provider = replace(provider, **numbers)  # type: ignore[arg-type]
        if "RESPONSE_FORMAT" in values:
            choice = read_response_format(values["RESPONSE_FORMAT"], f"{prefix}RESPONSE_FORMAT")
            provider = replace(provider, response_format=choice)
        provider = replace(provider, options=read_options(values, prefix))
        if "MODEL_OPTIONS" in values:
            options = read_model_options(values["MODEL_OPTIONS"], f"{prefix}MODEL_OPTIONS")
            provider = replace(provider, model_options=options)
        if "CA_FILE" in values:
            provider = replace(provider, ca_file=values["CA_FILE"])
        return provider

    def _add_providers_of_roles(self) -> None:
        """Make a provider of a role's own URL that is no provider's, named after its host."""
        origin: dict[str, str] = {}
        for role, variables in ROLE_VARIABLES.items():
            url_variable, key_variable = (
                first_set(self._environment, variables.urls),
                first_set(self._environment, variables.keys),
            )
            for variable in variables.keys:
                check_key(self._environment.get(variable, ""), variable)
            if not url_variable:
                continue
            url = parse_base_url(self._environment[url_variable], url_variable)
            key = self._environment[key_variable] if key_variable else None
            same = [p for p in self.by_name.values() if p.base_url == url]
            if not same:
                # A key may name its provider whose URL was left out.
                same = [p for p in self.by_name.values() if key and secret_of(p) == key]
                if same and same[0].base_url is None:
                    self.by_name[same[0].name] = replace(same[0], base_url=url)
                    continue
            if not same:
                name = urlsplit(url).netloc.lower().replace("[", "").replace("]", "")
                if name in self.by_name:
                    raise ConfigurationError(
                        f"{url_variable} and {origin[name]} name two addresses of one host; "
                        "give each a name by PROVIDER_<NAME>_API_KEY and PROVIDER_<NAME>_BASE_URL."
                    )
                origin[name] = url_variable
                self.by_name[name] = Provider(name, url, SecretStr(key) if key else None)
            elif key and secret_of(same[0]) != key:
                provider = same[0]
                if provider.name in origin and provider.api_key is not None:
                    raise ConfigurationError(
                        f"{key_variable} is another key for the address of "
                        f"{origin[provider.name]}; give each a name by "
                        "PROVIDER_<NAME>_API_KEY and PROVIDER_<NAME>_BASE_URL."
                    )
                if provider.api_key is None:
                    self.by_name[provider.name] = replace(provider, api_key=SecretStr(key))
                else:
                    self.notes.append(
                        f"{key_variable} differs from the key of provider {provider.name!r}, which "
                        f"has the same address; {role} calls use the provider's key."
                    )

    def _read_lists(self) -> None:
        suffixes = {role: variables.list_suffix for role, variables in ROLE_VARIABLES.items()}
        used: set[str] = set()
        for name, provider in list(self.by_name.items()):
            models: dict[Role, tuple[str, ...]] = {}
            for role, suffix in suffixes.items():
                for variable in sorted(self._environment):
                    if variable.lower() != f"{name}_{suffix}".lower():
                        continue
                    used.add(variable)
                    # Named by the list, so a slash inside is the provider's own (openai/gpt-4o).
                    keys = [
                        f"{name}/{m}" for m in parse_names(self._environment[variable], variable)
                    ]
                    models[role] = (*models.get(role, ()), *keys)
            self.by_name[name] = replace(provider, models=models)
        for variable in sorted(set(self._environment) - used):
            match = re.fullmatch(r"(.+?)_(BM_JUDGE|JUDGE|GEN|DATASET)_MODELS", variable)
            if match:
                self.notes.append(
                    f"{variable} is left out: provider {match[1].lower()!r} is not configured "
                    f"(PROVIDER_{match[1]}_API_KEY, PROVIDER_{match[1]}_BASE_URL)."
                )


def first_set(environment: Mapping[str, str], variables: Iterable[str]) -> str | None:
    """Return the first of these variables that is set."""
    return next((name for name in variables if name in environment), None)


def secret_of(provider: Provider) -> str | None:
    """Return a provider's key in clear; None without one, and of the simulator's."""
    if provider.api_key is None or provider.kind == "simulator":
        return None
    return provider.api_key.get_secret_value()
