"""Tags and owners of all assets, to filter the graph by: what pays, what runs offline, which tier.

Told from the assets and tiers themselves, so that a new one needs no entry here.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from rag_bench.settings import get_settings
from rag_bench.tiers import registry


def labelled(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return the assets with their tags: ``pays`` where models are asked, else ``offline``, with
    ``may_pay`` where some settings have a service asked; and ``tier``. Their owners are those of
    the settings.
    """
    owners = get_settings().asset_owners
    return [_labelled(asset, owners) for asset in assets]


def _labelled(asset: dg.AssetsDefinition, owners: list[str]) -> dg.AssetsDefinition:
    # Whoever takes the models may ask them; with an offline model it costs nothing all the same.
    steps = {step.asset: step for step in registry.steps()}
    asks = "models" in asset.required_resource_keys

    def label(spec: dg.AssetSpec) -> dg.AssetSpec:
        step = steps.get(spec.key.path[-1])
        pays = step.pays if step else asks or "pays" in spec.tags
        tags = {"pays": "yes"} if pays else {"offline": "yes"}
        if step:
            tags["tier"] = step.tier
            if asks and not pays:
                tags["may_pay"] = "yes"
        return spec.replace_attributes(tags={**spec.tags, **tags}, owners=[*spec.owners, *owners])

    return asset.map_asset_specs(label)
