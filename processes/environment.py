"""What a child process finds in its environment."""

import os

# Passwords of the service. A process that decodes a stranger's video, or holds a model, has no use for them.
# Collections may lie in a database or in an object store, whose libraries read the others (libpq's "Environment
# Variables"; the configuration keys of Rust's object_store, which LanceDB uses).
_SECRETS = frozenset(
    {
        "SIGNCLIP_API_KEYS",
        "SIGNCLIP_RATE_STORE",
        "SIGNCLIP_SEARCH_DIR",
        "PGPASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_CLIENT_SECRET",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
    }
)
# A process that keeps counters of its own must not write them among those of the web workers: they would be counted
# twice, and its gauges would show the zeros that they were created with.
_OTHERS = frozenset({"PROMETHEUS_MULTIPROC_DIR"})


def build_environment(**more: str) -> dict[str, str]:
    """Build the environment of a child: that of this process, without secrets, and with some more variables."""
    left_out = _SECRETS | _OTHERS
    return {**{name: value for name, value in os.environ.items() if name.upper() not in left_out}, **more}
