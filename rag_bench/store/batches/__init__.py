"""Work of many callers done in few statements."""
