"""What each tier does, from its inputs to a stored evaluation; knows no Dagster.

The assets call these functions and describe what came out; the command line does so through the
assets. Everything is measured once per model or pair of models that it really depends on.
"""
