"""Datasets over HTTP: clients' tests, drafts of people, and what clients call chunks."""
