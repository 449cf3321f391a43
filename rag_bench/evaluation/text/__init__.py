"""Texts: which are one, their words and sentences, and measures of their overlap."""
