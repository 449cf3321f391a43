"""What paired comparisons are made of: pairs of cases, p-values, what could be seen, verdicts."""
