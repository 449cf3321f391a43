"""People's labels on the dashboard: labelling case by case, and what follows from labels."""
