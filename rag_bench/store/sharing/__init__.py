"""What processes share while they call: limits of providers, and budgets."""
