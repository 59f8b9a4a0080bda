"""Tell whether SIGHUP means that the terminal was closed, rather than a request to reload files."""

import os
import signal

_CONTROLLING = "/dev/tty"


class Terminal:
    """The controlling terminal at the start of this process, if any. Create it before SIGHUP has a handler.

    A process started with ``nohup`` ignores SIGHUP and is expected to outlive its terminal.
    """

    def __init__(self) -> None:
        ignored = hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._had_terminal = _has_terminal() and not ignored

    def is_closed(self) -> bool:
        """Return whether the process had a terminal and it is now closed."""
        return self._had_terminal and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open(_CONTROLLING, os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True
