"""``service score``: archives of pictures and videos to one file of verdicts, in this process or on a Ray cluster.

In: files and folders. Out: JSON lines, CSV or Parquet, one row a file, resumable through a journal.
May import: ``service.api`` for the bodies of its rows, and whatever that may import.
"""
