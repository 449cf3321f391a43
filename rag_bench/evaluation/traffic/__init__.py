"""What users' questions are told by: turns of dialogs, and the scale of their ratings."""
