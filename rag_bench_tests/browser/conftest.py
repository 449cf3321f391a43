"""Fixtures of this folder; they are in a module of their own so that tests can name its types."""

from browser_ui import browser, empty_ui, ui

__all__ = ["browser", "empty_ui", "ui"]
