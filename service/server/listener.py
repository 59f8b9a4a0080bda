"""Listening sockets: one for a single process, or one for each worker on a shared port."""

import socket


class SharedPort(socket.socket):
    """A listener that becomes a socket of its own in each worker, so that the kernel distributes the connections.

    All workers accepting from one socket are not served alike: whichever is awake takes every connection of a burst (of
    8 at once, one of two workers got all, again and again). SO_REUSEPORT distributes them on Linux only.
    """

    def __reduce__(self) -> tuple[object, ...]:
        """Bind a new socket in the worker that this one is sent to."""
        return bind, (*self.getsockname()[:2], SharedPort)


def bind(host: str, port: int, kind: type[socket.socket] = socket.socket) -> socket.socket:
    """Return a socket that is bound to an address.

    Args:
        host: IPv4 or IPv6 address.
        port: 0 takes a free one.
        kind: class of the socket.

    Raises:
        OSError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches off Nagle's algorithm where it sees the protocol; else half of an answer waits for 40 ms.
    listener = kind(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if kind is SharedPort:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener
