"""Failures of a whole offline run; a failure of one file is a row."""


class ScoreError(Exception):
    """An offline run cannot start or continue; the message is one line. Scored rows stay in the journal."""
