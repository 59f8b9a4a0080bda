"""Command line, one module per command; slow imports are deferred until a command runs.

In: arguments. Out: tables, JSON, exit status.
May import: all of ``trainer``; ``service.contract`` and ``service.inference``.
"""
