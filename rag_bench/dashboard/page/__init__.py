"""What pages are made of: texts, tables, choices, plots. Knows no tab."""
