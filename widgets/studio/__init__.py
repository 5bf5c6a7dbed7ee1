"""The page of the studio: a corpus to look through and correct, genres, fine-tuning, generation, and back to notes.

A `Desk` holds what is open and does the work; the views follow it, as the dashboard's panels follow a `Session`.
"""
