"""The evaluation service's long runs as an asset, and how any run of it is recorded."""
