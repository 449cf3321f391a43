"""Metrics that a user brings: modules and files named in the settings."""
