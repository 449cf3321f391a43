"""The evaluation service's core: a request becomes a run, a run becomes evaluations, these a reply.

It knows no HTTP and no Dagster: the API and an asset are thin over it.
"""
