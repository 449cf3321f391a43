"""What retrievers leave behind: terms of texts, scores of pairs, what they cost."""
