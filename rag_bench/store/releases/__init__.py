"""What releases rest on: texts of prompts by hash, pinned baselines, what a gate said."""
