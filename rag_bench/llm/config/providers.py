"""Which providers and models the environment configures, for any provider name.

``PROVIDER_<NAME>_API_KEY`` and ``PROVIDER_<NAME>_BASE_URL`` (or ``_API_URL``, a full
chat/completions address) make a provider; ``<NAME>_GEN_MODELS``, ``<NAME>_BM_JUDGE_MODELS``
(benchmark judge) and ``<NAME>_JUDGE_MODELS`` (production judge) list its models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config import pricing
from rag_bench.llm.config.options import (
    VARIABLES,
    read_model_options,
    read_options,
    read_response_format,
)
from rag_bench.llm.config.roles import (
    ROLE_VARIABLES,
    Price,
    Provider,
    Role,
    check_key,
    parse_base_url,
    parse_names,
    positive,
    whole,
)
from rag_bench.llm.transport import offline

__all__ = ["Price", "Provider", "Providers", "Role"]

_PLAIN = ("API_KEY", "BASE_URL", "API_URL", "CONCURRENCY", "RPM", "TPM", "TIMEOUT_SECONDS")
_PROVIDER_VARIABLE = re.compile(
    rf"PROVIDER_(?P<name>.+?)_"
    rf"(?P<what>{'|'.join((*_PLAIN, 'RESPONSE_FORMAT', 'CA_FILE', *VARIABLES))})"
)

_NUMBERS: Mapping[str, tuple[str, Callable[[str, str], float]]] = {
    "CONCURRENCY": ("concurrency", whole),
    "RPM": ("rpm", positive),
    "TPM": ("tpm", positive),
    "TIMEOUT_SECONDS": ("timeout_seconds", positive),
}


class Providers:
    """Everything that the environment says about models. Immutable; printing it shows no key.

    ``notes`` are remarks for the user on what was left out and why.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        self._environment = {
            name: value.strip() for name, value in environment.items() if value.strip()
        }
        self._prices = dict(prices or {})
        self.notes: list[str] = []
        self._by_name = self._read_providers()
        self._add_providers_of_roles()
        self._read_lists()

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, prices: Mapping[str, Price] | None = None
    ) -> Providers:
        """Read a mapping; by default ``os.environ`` after the environment files were loaded.

        Prices are those given, else those of the file that ``RAG_BENCH_PRICES`` names.

        Raises:
            ConfigurationError: a variable that cannot be meant, named in the message.
        """
        if environment is None:
            import os

            from rag_bench.settings import load_environment

            load_environment()
            environment = os.environ
        if prices is None and environment.get(pricing.VARIABLE, "").strip():
            prices = pricing.load_prices(Path(environment[pricing.VARIABLE].strip()))
        return cls(environment, prices)

    def __repr__(self) -> str:
        return f"Providers({', '.join(self._by_name)})"

    @property
    def names(self) -> list[str]:
        """Configured providers, the simulator first."""
        return list(self._by_name)

    def provider(self, name: str) -> Provider:
        """Return a provider by name, in any case.

        Raises:
            ConfigurationError: no provider of that name is configured.
        """
        found = self._by_name.get(name.lower())
        if found is None:
            upper = name.upper()
            raise ConfigurationError(
                f"No provider {name!r} is configured (there are: {', '.join(self._by_name)}). "
                f"Set PROVIDER_{upper}_API_KEY and PROVIDER_{upper}_BASE_URL."
            )
        return found

    def split(self, model_key: str) -> tuple[Provider, str]:
        """Return a key's provider and the model's name as the provider knows it.

        Raises:
            ConfigurationError: the first segment is no configured provider.
        """
        first, _, model = model_key.partition("/")
        if not model:
            raise ConfigurationError(
                f"{model_key!r} is not a model key; expected <provider>/<model>."
            )
        return self.provider(first), model

    def models_for(self, role: Role) -> list[str]:
        """Return every model configured for a role: offline ones, lists, the role's variable.

        The order is stable and there are no repeats. The dataset role has the benchmark judges
        unless it has models of its own.
        """
        keys = [*ROLE_VARIABLES[role].offline, *self._listed(role), *self._of_role_variable(role)]
        if role is Role.dataset and not keys:
            return self.models_for(Role.benchmark_judge)
        return _distinct(keys)

    def resolve_models(
        self,
        role: Role,
        flag_csv: str | None = None,
        source: str | None = None,
        key_var: str | None = None,
        url_var: str | None = None,
    ) -> list[str]:
        """Return the models to run: a flag beats the role's variable beats lists beats offline.

        Args:
            role: what the models are for.
            flag_csv: model keys, or bare names that belong to the provider named by the others.
            source: a provider's name: its list for this role, and the owner of bare names.
            key_var: an environment variable whose name or value names the owner of bare names.
            url_var: the same, of its address.

        Raises:
            ConfigurationError: a variable that is not set, an empty list, a bare name that
                belongs to no provider or to several.
        """
        owners = self._owners_of_variables(key_var, url_var)
        if source:
            owners.add(self.provider(source).name)
        if flag_csv is not None:
            names = parse_names(flag_csv, f"the list of {role} models")
            owners = owners or self._owners_of_role(role)
            return _distinct(self._qualify(name, role, owners, "the list") for name in names)
        if source:
            provider = self.provider(source)
            keys = provider.models.get(role, ())
            if not keys and provider.kind == "simulator":
                keys = ROLE_VARIABLES[role].all_offline
            if not keys:
                variable = f"{source.upper()}_{ROLE_VARIABLES[role].list_suffix}"
                raise ConfigurationError(f"{variable} lists no models; set it or name the models.")
            return list(keys)
        chosen = self._of_role_variable(role, owners) or self._listed(role)
        if role is Role.dataset and not chosen:
            return self.resolve_models(Role.benchmark_judge)[:1]
        return _distinct(chosen) or list(ROLE_VARIABLES[role].offline)

    def price(self, model_key: str) -> Price | None:
        """Return a model's price; None where it is unknown. Simulated models are free."""
        if offline.is_simulated(model_key):
            return Price(Decimal(0), Decimal(0))
        return self._prices.get(model_key)

    def cost_usd(
        self, model_key: str, prompt_tokens: int | None, completion_tokens: int | None
    ) -> Decimal | None:
        """Return a call's price, or None where price or tokens are unknown: unknown is not 0."""
        if offline.is_simulated(model_key):
            return Decimal(0)
        price = self._prices.get(model_key)
        if price is None or prompt_tokens is None or completion_tokens is None:
            return None
        return (price.prompt * prompt_tokens + price.completion * completion_tokens) / 1_000_000

    # Reading the environment.

    def _read_providers(self) -> dict[str, Provider]:
        spelling: dict[str, str] = {offline.SIMULATOR: offline.SIMULATOR.upper()}
        found: dict[str, dict[str, str]] = {}
        for variable in sorted(self._environment):
            match = _PROVIDER_VARIABLE.fullmatch(variable)
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
        return {
            name: provider
            for name, provider in providers.items()
            if provider.base_url is not None or provider.api_key is not None
        }

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
            url_variable, key_variable = self._set(variables.urls), self._set(variables.keys)
            for variable in variables.keys:
                check_key(self._environment.get(variable, ""), variable)
            if not url_variable:
                continue
            url = parse_base_url(self._environment[url_variable], url_variable)
            key = self._environment[key_variable] if key_variable else None
            same = [p for p in self._by_name.values() if p.base_url == url]
            if not same:
                # A key may name its provider whose URL was left out.
                same = [p for p in self._by_name.values() if key and _secret(p) == key]
                if same and same[0].base_url is None:
                    self._by_name[same[0].name] = replace(same[0], base_url=url)
                    continue
            if not same:
                name = urlsplit(url).netloc.lower().replace("[", "").replace("]", "")
                if name in self._by_name:
                    raise ConfigurationError(
                        f"{url_variable} and {origin[name]} name two addresses of one host; "
                        "give each a name by PROVIDER_<NAME>_API_KEY and PROVIDER_<NAME>_BASE_URL."
                    )
                origin[name] = url_variable
                self._by_name[name] = Provider(name, url, SecretStr(key) if key else None)
            elif key and _secret(same[0]) != key:
                provider = same[0]
                if provider.name in origin and provider.api_key is not None:
                    raise ConfigurationError(
                        f"{key_variable} is another key for the address of "
                        f"{origin[provider.name]}; give each a name by "
                        "PROVIDER_<NAME>_API_KEY and PROVIDER_<NAME>_BASE_URL."
                    )
                if provider.api_key is None:
                    self._by_name[provider.name] = replace(provider, api_key=SecretStr(key))
                else:
                    self.notes.append(
                        f"{key_variable} differs from the key of provider {provider.name!r}, which "
                        f"has the same address; {role} calls use the provider's key."
                    )

    def _read_lists(self) -> None:
        suffixes = {role: variables.list_suffix for role, variables in ROLE_VARIABLES.items()}
        used: set[str] = set()
        for name, provider in list(self._by_name.items()):
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
            self._by_name[name] = replace(provider, models=models)
        for variable in sorted(set(self._environment) - used):
            match = re.fullmatch(r"(.+?)_(BM_JUDGE|JUDGE|GEN|DATASET)_MODELS", variable)
            if match:
                self.notes.append(
                    f"{variable} is left out: provider {match[1].lower()!r} is not configured "
                    f"(PROVIDER_{match[1]}_API_KEY, PROVIDER_{match[1]}_BASE_URL)."
                )

    # Finding the owner of a bare model name.

    def _set(self, variables: Iterable[str]) -> str | None:
        return next((name for name in variables if name in self._environment), None)

    def _listed(self, role: Role) -> list[str]:
        return [key for provider in self._by_name.values() for key in provider.models.get(role, ())]

    def _of_role_variable(self, role: Role, owners: set[str] | None = None) -> list[str]:
        variable = ROLE_VARIABLES[role].model
        value = self._environment.get(variable)
        if not value:
            return []
        names = parse_names(value, variable)
        owners = owners or self._owners_of_role(role)
        return [self._qualify(name, role, owners, variable) for name in names]

    def _owners_of_role(self, role: Role) -> set[str]:
        variables = ROLE_VARIABLES[role]
        return self._owners_of_variables(
            self._set(variables.keys), self._set(variables.urls), False
        )

    def _owners_of_variables(
        self, key_var: str | None, url_var: str | None, strict: bool = True
    ) -> set[str]:
        """Return the providers that a key and a URL variable name; the URL decides where it can."""
        owners: set[str] = set()
        for variable in filter(None, (url_var, key_var)):
            if variable not in self._environment:
                raise ConfigurationError(
                    f"The environment variable {variable} is not set. Set it (in "
                    ".env.benchmark-models, or export it), or leave the flag out."
                )
            match = _PROVIDER_VARIABLE.fullmatch(variable)
            if match:
                owners.add(self.provider(match["name"]).name)
                continue
            value = self._environment[variable]
            if variable == url_var:
                url = parse_base_url(value, variable)
                named = {p.name for p in self._by_name.values() if p.base_url == url}
            else:
                named = {p.name for p in self._by_name.values() if _secret(p) == value}
                if owners:  # one account's key may serve two addresses: the URL has decided
                    named = set()
            if not named and strict and not owners:
                raise ConfigurationError(
                    f"{variable} names no configured provider. Set PROVIDER_<NAME>_API_KEY and "
                    "PROVIDER_<NAME>_BASE_URL to the same values and write <name>/<model>."
                )
            owners |= named
        return owners

    def _qualify(self, name: str, role: Role, owners: set[str], where: str) -> str:
        first, _, rest = name.partition("/")
        if rest and first.lower() in self._by_name:
            return f"{first.lower()}/{rest}"
        if len(owners) == 1:
            return f"{next(iter(owners))}/{name}"
        variables = ROLE_VARIABLES[role]
        listed = [key for key in self._listed(role) if key.partition("/")[2] == name]
        hint = f" Did you mean {' or '.join(listed)}?" if listed else ""
        problem = (
            f"it could belong to several providers ({', '.join(sorted(owners))})"
            if owners
            else f"{first!r} is no configured provider"
            if first and rest
            else "it names no provider"
        )
        raise ConfigurationError(
            f"{where}: whose model is {name!r}? As written {problem}. Write <provider>/<model> "
            f"(configured: {', '.join(self._by_name)}), or set {variables.urls[0]} or "
            f"{variables.keys[0]} to those of its provider.{hint}"
        )


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _secret(provider: Provider) -> str | None:
    if provider.api_key is None or provider.kind == "simulator":
        return None
    return provider.api_key.get_secret_value()
