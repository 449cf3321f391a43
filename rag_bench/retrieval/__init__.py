"""Encoding texts, storing their vectors once, and searching them."""
