"""The dashboard: what the store holds, for people, in a browser."""
