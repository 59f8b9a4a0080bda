"""Failures of offline scoring as a whole; one picture's are rows."""


class ScoreError(Exception):
    """Offline scoring cannot begin, or cannot go on; one line. What has been scored stays in the journal."""
