"""Several processes call one provider: its limits in shares, calls claimed, one budget for all.

The pace of one process, by itself, is in `transport`.
"""
