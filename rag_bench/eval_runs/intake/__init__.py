"""A request becomes a run that can be stored: read, checked and looked up, all problems at once."""
