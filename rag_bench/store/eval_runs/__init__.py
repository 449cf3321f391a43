"""Runs of the evaluation service: what was asked for, how far it is, what came of each case."""
