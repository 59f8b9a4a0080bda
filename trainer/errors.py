"""What the trainer refuses, with a message meant for the person at the terminal."""


class TrainerError(Exception):
    """Bad input or a failed step. The command line prints the message alone and exits with 1."""


class PeerLost(TrainerError):
    """Another process of a distributed fit is gone; this one cannot go on, and must not wait for it at its exit."""
