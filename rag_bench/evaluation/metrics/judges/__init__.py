"""Families of metrics of judges, a file each."""
