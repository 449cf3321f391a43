"""What a reply says: the answer, thinking, why it ended, JSON by a schema."""
