"""What is measured with: the dump, its chunks, embeddings, datasets."""
