"""From finished runs to the published model: ranking, release gates, publication.

In: run folders and the models published so far. Out: ``models/NAME/VERSION`` and ``models/DEFAULT``.
May import: every package of the trainer but ``trainer.cli``.
"""
