"""Files of other tools: BEIR's collections, and results of promptfoo and Inspect."""
