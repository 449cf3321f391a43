"""What is made of results: triples, leaderboard, report, plan, analytics."""
