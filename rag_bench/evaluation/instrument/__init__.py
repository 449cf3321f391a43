"""Whether what measures is still the same: served models, canaries of judges, bridges between them.

Pure: what was asked and stored is given.
"""
