"""What a set of questions can still tell: versions, coverage, leaks, questions that decide.

Pure: items, texts and scores are given.
"""
