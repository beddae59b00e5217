"""Scores and ranks vectors. Functions take arrays and return ids; nothing here knows models or HTTP."""

import os

# Arrow's own allocator, mimalloc, crashes in threads of a process that has loaded torch (seen with pyarrow 25.0 and
# torch 2.13), as in a service without gunicorn, whose engine runs in the process that searches. Read at Arrow's import.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
