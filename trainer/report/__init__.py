"""Plots, HTML pages, tables and model cards.

In: results of an audit, a fit or an evaluation. Out: PNG, self-contained HTML, Markdown, terminal tables.
May import: ``trainer.export``, ``trainer.audit`` and what they may import; ``service.inference``.
"""
