"""``rag-bench label``: people's labels of evaluated answers."""
