"""Audit of a dataset: cues that separate the classes without the faces, and weights that balance them.

In: a scanned dataset. Out: figures, findings in sentences, and weights for training.
May import: ``trainer.data`` and what it may import.
"""
