"""Means whose cases count unequally."""
