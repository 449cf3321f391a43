"""What the questions say about the sources: pure, no Dagster, SQL or HTTP."""
