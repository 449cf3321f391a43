"""The bench tries itself."""
