"""Offline models: an extractive baseline and simulated models of stated quality, behind HTTP."""
