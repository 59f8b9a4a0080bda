"""Training: batches, the training loop, checkpoints, workers, the live view, and finishing a run.

In: fit options. Out: a run folder with the model, its figures and plots.
May import: all of ``trainer`` except ``trainer.release`` and ``trainer.cli``; ``service.contract`` and
``service.inference``.
"""
