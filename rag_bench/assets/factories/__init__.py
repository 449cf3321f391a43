"""What all assets are made with: declaration, partitions, records of cells, metadata.

No asset is declared here.
"""
