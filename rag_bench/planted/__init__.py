"""Faults planted on purpose, each through the whole path, and what found them.

Runs in a process of its own (`process`), on scratch databases, with the offline models.
"""
