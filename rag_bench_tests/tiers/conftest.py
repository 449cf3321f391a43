from local_provider import provider  # noqa: F401
