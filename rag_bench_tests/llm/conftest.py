from fake_provider import (  # noqa: F401
    models,
    provider,
    refusing_port,
    resetting_port,
    second_provider,
)
