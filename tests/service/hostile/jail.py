"""A process that cannot write a file or call anybody: ``python -m tests.service.hostile.jail COMMAND...`` (Linux).

By seccomp (a filter of system calls that a process puts on itself and that all it starts inherit): opening a file for
writing, making, renaming or removing one, connecting a socket and sending to an address fail with EPERM.
"""

import ctypes
import errno
import os
import platform
import struct
import subprocess
import sys

# Number of each call, and which of its arguments is looked at, by architecture.
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# Refused always: connect, creat, mkdir, rename, unlink, link, symlink and their kin, memfd_create, sendmmsg.
_CALLS = {
    "x86_64": {
        "openat": 257,
        "open": 2,
        "sendto": 44,
        "always": (42, 85, 83, 82, 264, 316, 87, 263, 86, 265, 88, 266, 319, 307),
    },
    "aarch64": {"openat": 56, "open": -1, "sendto": 206, "always": (203, 34, 38, 276, 35, 37, 36, 279, 269)},
}
_LOAD, _EQUALS, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def available() -> bool:
    """Return whether this system does it, by trying."""
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        return False
    command = [sys.executable, "-c", "from tests.service.hostile.jail import close; close()"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _argument(number: int) -> bytes:
    return _step(_LOAD, 16 + 8 * number)


def program() -> bytes:
    """Return the filter (BPF)."""
    calls = _CALLS[platform.machine()]
    refuse, number = _step(_RETURN, _REFUSE), _step(_LOAD, 0)
    steps = [number]
    for call in calls["always"]:
        steps += [_step(_EQUALS, call, 0, 1), refuse]
    for call, argument in ((calls["openat"], 2), (calls["open"], 1)):
        if call >= 0:
            steps += [
                _step(_EQUALS, call, 0, 4),
                _argument(argument),
                _step(_ANY_BIT, _WRITE_FLAGS, 0, 1),
                refuse,
                number,
            ]
    # Without an address it goes to whom the socket is connected with: the client.
    steps += [_step(_EQUALS, calls["sendto"], 0, 4), _argument(4), _step(_EQUALS, 0, 1, 0), refuse, number]
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def close() -> None:
    """Put the filter on this process."""

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    steps, libc = program(), ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(Filter(len(steps) // 8, steps)), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls can be set here")


if __name__ == "__main__":
    close()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
