"""Errors of the trainer, with messages for the user at the terminal."""


class TrainerError(Exception):
    """Invalid input or a failed step; the command line prints only the message and exits with status 1."""


class PeerLost(TrainerError):
    """Another process of a distributed fit ended; this one cannot continue and must not wait for it at exit."""


class WorkerLost(TrainerError):
    """A process that augments pictures ended; the run can be resumed after its last finished epoch."""

    def __init__(self) -> None:
        super().__init__(
            "a process that augments pictures was killed or did not start; if memory ran out, use fewer --workers"
        )
