"""Two runs or evaluations side by side: paired, tested, with what differs in what they read."""
