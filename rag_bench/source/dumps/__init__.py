"""Dumps of PostgreSQL, read as data: formats, blocks, tables, rows, values."""
