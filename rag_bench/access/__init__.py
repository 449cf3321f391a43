"""Who may do what, and where the program may reach out to: scopes, keys, tokens, the guard.

Knows no SQL and no web framework; what is stored of keys is in `rag_bench.store.access`.
"""
