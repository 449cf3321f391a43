"""What people decided about gold answers whose chunk has changed: appended, never changed."""
