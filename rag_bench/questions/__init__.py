"""Making questions from the sources: plan, writer, critics, and the record of how each was made."""
