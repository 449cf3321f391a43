"""Measures an assistant that answers from a knowledge base; docs/architecture.md has the map."""
