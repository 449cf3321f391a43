"""The leaderboard and the report: what was measured, as a person reads it. Asks no model."""
