"""What the trainer refuses, with a message meant for the person at the terminal."""


class TrainerError(Exception):
    """Bad input or a failed step. The command line prints the message alone and exits with 1."""


class PeerLost(TrainerError):
    """Another process of a distributed fit is gone; this one cannot go on, and must not wait for it at its exit."""


class WorkerLost(TrainerError):
    """A process that augments pictures is gone; the run can go on after its last finished epoch."""

    def __init__(self) -> None:
        super().__init__(
            "a process that augments pictures was killed or did not start; out of memory? Fewer --workers need less"
        )
