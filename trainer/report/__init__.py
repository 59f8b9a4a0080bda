"""Plots, HTML pages, tables and model cards.

In: results of an audit, a fit or an evaluation. Out: PNG, self-contained HTML, Markdown, terminal tables.
May import: ``trainer.evaluation``, ``trainer.audit`` and whatever those may import; ``service.inference``.
"""
