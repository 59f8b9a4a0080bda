"""Release of models: ranking of finished runs, release gates, publication.

In: run folders and the published models. Out: ``models/NAME/VERSION`` and ``models/DEFAULT``.
May import: all of ``trainer`` except ``trainer.cli``; ``service.contract`` and ``service.inference``.
"""
