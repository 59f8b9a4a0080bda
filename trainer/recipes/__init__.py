"""Recipes: the settings of a fit, by name, by TOML file, or by answering questions.

In: the name of a recipe, a file or answers, and overrides. Out: a validated, frozen ``Recipe``.
May import: ``trainer.common`` and ``service.contract``.
"""
