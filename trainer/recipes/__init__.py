"""Recipes: the settings of a fit, by name, by TOML file, or by answering questions.

In: a recipe's name, a file or answers, and overrides. Out: a validated, frozen ``Recipe``.
May import: ``trainer.common``.
"""
