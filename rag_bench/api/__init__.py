"""The HTTP API over the stored results."""
