"""Rerankers: a question's candidates put in a new order by a model that reads both together."""
