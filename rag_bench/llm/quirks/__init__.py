"""What providers and families of models do in ways of their own: a module each, an entry a quirk.

A module here, or in ``quirks`` of an extension, has a tuple ``QUIRKS`` of
`rag_bench.llm.config.quirk.Quirk`. What is common to the protocol does not belong here.
"""
