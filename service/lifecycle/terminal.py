"""Terminal: whether SIGHUP means that it was closed, as it did before it came to mean "look at your files"."""

import os
import signal

_CONTROLLING = "/dev/tty"


class Terminal:
    """The terminal that this process was started from, if any; made before SIGHUP has a handler.

    Of one that was started by ``nohup`` nobody expects that it ends with it.
    """

    def __init__(self) -> None:
        ignored = hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._was_there = _is_there() and not ignored

    def is_closed(self) -> bool:
        """Return whether there was one, and is no more."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open(_CONTROLLING, os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True
