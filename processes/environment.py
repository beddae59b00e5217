"""What a child process finds in its environment."""

import os

# Passwords of the service. A process that decodes a stranger's video, or holds a model, has no use for them.
_SECRETS = frozenset({"SIGNCLIP_API_KEYS", "SIGNCLIP_RATE_STORE"})
# A process that keeps counters of its own must not write them among those of the web workers: they would be counted
# twice, and its gauges would show the zeros that they were created with.
_OTHERS = frozenset({"PROMETHEUS_MULTIPROC_DIR"})


def build_environment(**more: str) -> dict[str, str]:
    """Build the environment of a child: that of this process, without secrets, and with some more variables."""
    left_out = _SECRETS | _OTHERS
    return {**{name: value for name, value in os.environ.items() if name.upper() not in left_out}, **more}
