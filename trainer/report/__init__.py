"""Figures, pages, tables and model cards for people.

In: results of an audit, a fit or an evaluation. Out: PNG, self-contained HTML, Markdown, terminal tables.
May import: ``trainer.evaluation``, ``trainer.audit`` and whatever those may import.
"""
