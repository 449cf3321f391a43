"""RAGAS' metrics over our own client, ledger, prompts and encoder.

Only ``library`` and ``metrics`` import ragas; the others are light.
"""

import os

# Read by ragas when it is first asked to report, so it is set before anything of it is imported.
os.environ["RAGAS_DO_NOT_TRACK"] = "true"
