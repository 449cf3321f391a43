"""What every tier stands on: the opened run, its settings, cells, and the record of a result.

A tier's own work is in the room of that tier.
"""
