"""Offline scoring (``service score``): files to a table of verdicts, in this process or on a Ray cluster.

In: files and folders. Out: JSON lines, CSV or Parquet with one row per file; a journal makes runs resumable.
May import: ``service.api`` for the bodies of its rows, and whatever that may import.
"""
