"""What models are asked for: answers, scores, preferences. Prompts are rendered here."""
