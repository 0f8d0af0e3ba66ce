"""Chapters: what they are, their parameters, how one is run, and how it reaches the book."""
