"""What lies behind the leaderboard: models pair by pair, costs, judges' agreement, verdicts."""
