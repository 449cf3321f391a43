"""The pure core: metrics by tier and their statistics. No Dagster, SQL or HTTP here."""
