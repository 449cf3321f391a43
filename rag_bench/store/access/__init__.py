"""What is stored of who may and who did: API keys, requests counted, the audit."""
