"""Commands over the evaluation service."""
