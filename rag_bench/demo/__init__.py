"""The demo: an invented university's knowledge base, its traffic, and a production-shaped dump."""
