"""JSON of strangers, read strictly, every problem located. Any row may import it."""
