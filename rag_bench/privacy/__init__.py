"""Personal data in texts: found by kind, and masked. Pure: no Dagster, SQL or HTTP here."""
