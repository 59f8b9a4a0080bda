"""Release of models: ranking of finished runs, release gates, publication.

In: run folders and the published models. Out: ``models/NAME/VERSION`` and ``models/DEFAULT``.
May import: every package of the trainer except ``trainer.cli``.
"""
