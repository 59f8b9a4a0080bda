"""What every step of the trainer shares: errors, atomic files, the run folder, progress bars, statistics.

In: paths and numbers. Out: files that are written whole or not at all, and one-line errors.
May import: ``service.contract`` only.
"""
