"""Drafts of datasets: cases that people put together, until they are published."""
