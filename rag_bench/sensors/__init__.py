"""Sensors that turn what others ask for into runs of Dagster."""
