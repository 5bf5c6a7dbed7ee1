"""The moving parts of the workshop: one module a lesson, and what they share.

Each lesson is a notebook in ``notebooks/workshop`` that places a few of these pieces between its words. A piece is an
ipywidget like any other: its sliders are attributes (``piece.window.value``), so a teacher can observe, link and reuse
them. What a piece computes is a pure function beside it.
"""
