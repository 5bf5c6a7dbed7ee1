"""The music helper: corpora, genres, generation, and the way back to notes. Optional: ``pip install 'amtsep[studio]'``.

Stands on the rest of the library; nothing of the rest knows of it.
"""
