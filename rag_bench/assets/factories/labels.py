"""Tags and owners of all assets, to filter the graph by: what pays, what runs offline, which tier.

Told from the assets themselves, so that a new one needs no entry here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import dagster as dg

from rag_bench.settings import get_settings

#: Assets whose name does not begin with their tier.
_TIERS: Mapping[str, str] = {
    "benchmark_judge_quality": "judge",
    "production_judge_scores": "judge_pipeline",
}
_TIER = re.compile(r"tier_?([0-9]+|[a-z]+)_")


def labelled(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return the assets with their tags: ``pays`` where models are asked, else ``offline``; and
    ``tier``. Their owners are those of the settings.
    """
    owners = get_settings().asset_owners
    return [_labelled(asset, owners) for asset in assets]


def _labelled(asset: dg.AssetsDefinition, owners: list[str]) -> dg.AssetsDefinition:
    # Whoever takes the models may ask them; with an offline model it costs nothing all the same.
    pays = "models" in asset.required_resource_keys

    def label(spec: dg.AssetSpec) -> dg.AssetSpec:
        name = spec.key.path[-1]
        found = _TIER.match(name)
        tier = _TIERS.get(name) or (found.group(1) if found else None)
        tags = {"pays": "yes"} if pays else {"offline": "yes"}
        if tier:
            tags["tier"] = tier
        return spec.replace_attributes(tags={**spec.tags, **tags}, owners=[*spec.owners, *owners])

    return asset.map_asset_specs(label)
