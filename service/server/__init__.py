"""Settings to a running server: one process or several workers, and the protocols that bound what a client may hold.

In: settings. Out: a listening server, until SIGTERM or Ctrl-C.
May import: the rest of the service but ``service.offline``.
"""
