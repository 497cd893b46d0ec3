"""Runs as a program of its own: ties the program it becomes to the life of its parent.

``python -I -S leash.py SIGNAL PARENT UID GID PROGRAM ARGUMENT…``; UID and GID are ``-`` to stay who we are.

A launcher and not a ``preexec_fn``: that one may deadlock when another thread of the parent holds a lock at the fork.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie_and_become(arguments: list[str]) -> None:
    """Drop to the wanted user, ask the kernel to signal us when the parent dies, and exec the program."""
    death_signal, parent, uid, gid, *program = arguments
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        # After setuid: the kernel forgets the wish when the user changes. Elsewhere only an orderly end stops children.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(128 + signal.SIGTERM)  # the parent died before the wish was made
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    tie_and_become(sys.argv[1:])
