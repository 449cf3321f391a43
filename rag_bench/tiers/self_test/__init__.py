"""The bench's trial of itself, stored as any other result."""
