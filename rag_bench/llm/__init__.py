"""Chat models: providers, the one client with its ledger, and the prompts."""
