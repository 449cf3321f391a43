"""The way to a provider: proxies, trust, connections. Limits and retries: `transport`."""
