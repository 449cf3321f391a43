"""The pure core: formulas of metrics, entries, statistics. No Dagster, SQL or HTTP here."""
