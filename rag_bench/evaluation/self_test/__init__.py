"""The bench tried on worlds whose truth is known: do its intervals, tests and estimators hold?"""
