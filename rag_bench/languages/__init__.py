"""Our own English words in other languages, for pages that people read."""
