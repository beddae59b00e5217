"""How a command names itself in its usage line."""

import sys

PROGRAM = "signclip"
"""The command that `make install` makes; it has those of all rooms below it."""


def name_command(room: str) -> str:
    """Name a room's command as it was started: `signclip video`, or `python -m video`."""
    return sys.argv[0] if sys.argv[0].startswith(f"{PROGRAM} ") else f"python -m {room}"
