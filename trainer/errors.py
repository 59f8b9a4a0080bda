"""What the trainer refuses, with a message meant for the person at the terminal."""


class TrainerError(Exception):
    """Bad input or a failed step. The command line prints the message alone and exits with 1."""
