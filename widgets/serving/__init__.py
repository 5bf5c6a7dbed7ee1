"""The page as a whole, and what serves it."""
