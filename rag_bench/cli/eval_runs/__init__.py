"""``rag-bench eval`` and ``rag-bench compare``: runs of the service, from a command line or CI."""
