"""Which providers and models the environment configures, for any provider name.

``PROVIDER_<NAME>_API_KEY`` and ``PROVIDER_<NAME>_BASE_URL`` (or ``_API_URL``, a full
chat/completions address) make a provider; ``<NAME>_GEN_MODELS``, ``<NAME>_BM_JUDGE_MODELS``
(benchmark judge) and ``<NAME>_JUDGE_MODELS`` (production judge) list its models. A live assistant
(``TARGET_<NAME>_URL``) is a provider of one generation model, both named ``target/<name>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from rag_bench.answer_sources import AnswerSource, answer_sources
from rag_bench.errors import ConfigurationError
from rag_bench.llm.config import offline, pricing
from rag_bench.llm.config.provider_variables import (
    PROVIDER_VARIABLE,
    ReadProviders,
    first_set,
    secret_of,
)
from rag_bench.llm.config.roles import (
    ROLE_VARIABLES,
    Price,
    Provider,
    Role,
    parse_base_url,
    parse_names,
)
from rag_bench.llm.config.target_variables import read_targets
from rag_bench.llm.config.targets import PREFIX, is_target

__all__ = ["Price", "Provider", "Providers", "Role"]


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
        read = ReadProviders(self._environment)
        targets, notes = read_targets(self._environment)
        self.notes = [*read.notes, *notes]
        if PREFIX.rstrip("/") in read.by_name:
            raise ConfigurationError(
                "A provider cannot be named target: keys that begin with target/ are those of live "
                "assistants (TARGET_<NAME>_URL). Give it another name, for example "
                "PROVIDER_TARGET1_BASE_URL."
            )
        self._by_name = {**read.by_name, **targets}
        self._without_address = read.without_address

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

    def said_of(self, name: str) -> Provider | None:
        """Return what the variables of a name say, be it only limits; None: there are none."""
        return self._by_name.get(name.lower()) or self._without_address.get(name.lower())

    def split(self, model_key: str) -> tuple[Provider, str]:
        """Return a key's provider and the model's name as the provider knows it.

        Raises:
            ConfigurationError: the first segment is no configured provider.
        """
        first, _, model = model_key.partition("/")
        if is_target(model_key):
            return self._target(model_key), model
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

    @property
    def answer_sources(self) -> Sequence[AnswerSource]:
        """What stands among the generation models and is none."""
        return answer_sources(self._environment)

    def generators(self) -> list[str]:
        """Return the configured generation models, and behind them the answer sources."""
        sources = [source.key for source in self.answer_sources]
        return _distinct([*self.models_for(Role.generation), *sources])

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
        self,
        model_key: str,
        prompt_tokens: int | None,
        completion_tokens: int | None,
        search_units: int | None = 0,
        n_calls: int = 1,
    ) -> Decimal | None:
        """Return a call's price, or None where the price, or an amount that it is by, is unknown:
        unknown is not 0. The amounts may be those of ``n_calls`` calls together.
        """
        if offline.is_simulated(model_key):
            return Decimal(0)
        price = self._prices.get(model_key)
        if price is None:
            return None
        cost = price.call * n_calls
        for each, amount in (
            (price.prompt / 1_000_000, prompt_tokens),
            (price.completion / 1_000_000, completion_tokens),
            (price.search_unit, search_units),
        ):
            if each and amount is None:
                return None
            cost += each * (amount or 0)
        return cost

    def _target(self, key: str) -> Provider:
        found = self._by_name.get(key.lower())
        if found is None:
            there = [name for name in self._by_name if is_target(name)]
            variable = f"TARGET_{key.removeprefix(PREFIX).upper()}_URL"
            raise ConfigurationError(
                f"No target {key!r} is configured (there are: {', '.join(there) or 'none'}). "
                f"Set {variable}, for example {variable}=https://help.example.org/api/ask."
            )
        return found

    # Finding the owner of a bare model name.

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
            first_set(self._environment, variables.keys),
            first_set(self._environment, variables.urls),
            False,
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
            match = PROVIDER_VARIABLE.fullmatch(variable)
            if match:
                owners.add(self.provider(match["name"]).name)
                continue
            value = self._environment[variable]
            if variable == url_var:
                url = parse_base_url(value, variable)
                named = {p.name for p in self._by_name.values() if p.base_url == url}
            else:
                named = {p.name for p in self._by_name.values() if secret_of(p) == value}
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
        if any(source.key == name for source in self.answer_sources):
            if role is not Role.generation:
                raise ConfigurationError(
                    f"{where}: {name} has answers and is no model: it can stand among the "
                    "generation models only."
                )
            return name
        first, _, rest = name.partition("/")
        if is_target(name.lower()):
            if role is not Role.generation:
                raise ConfigurationError(
                    f"{where}: {name!r} is an assistant that is measured; it can stand among "
                    "generation models only."
                )
            return self._target(name.lower()).name
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
