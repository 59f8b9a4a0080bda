"""The command line, one file a command; heavy imports happen when a command runs.

In: arguments. Out: tables, JSON, exit status.
May import: every package of the trainer.
"""
