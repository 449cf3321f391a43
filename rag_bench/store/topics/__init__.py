"""Models of topics, and which benchmark questions are in which topic."""
