"""Code shared by all steps of the trainer: errors, atomic files, the run folder, progress bars, statistics.

In: paths and numbers. Out: atomically written files and one-line errors.
May import: ``service.contract`` only.
"""
