"""Training data: scores, sound and the bank of stems."""
