"""`python -m app.banner URL`: waits until the service is ready, and prints what is served, what it knows, and where.

A process of its own, because gunicorn's master must have no threads when it forks. It ends with its parent.
"""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from app.settings import load_settings
from models.catalog import ModelConfig, load_catalog
from models.registry import SHIPPED

# Between two questions whether the service is ready, and for one of them.
_PAUSE_S, _TIMEOUT_S = 0.2, 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait and print; the exit status is 0 even if the service ends first, because the service says why."""
    (url,) = sys.argv[1:] if arguments is None else arguments
    # Ctrl-C reaches every process of the terminal; this one has nothing to add.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent_pid = os.getppid()
    while (ready := _ask(url, "/readyz")) is None:
        time.sleep(_PAUSE_S)
        if os.getppid() != parent_pid:
            return 0
    settings = load_settings()
    config = load_catalog(weights=settings.engine.weights_dir)[ready["model"]]
    version = (_ask(url, "/healthz") or {}).get("version", "")
    print(write_banner(url, config, version=version, needs_key=settings.needs_keys), flush=True)
    return 0


def write_banner(url: str, config: ModelConfig, *, version: str, needs_key: bool) -> str:
    """Write what somebody who has just started the service wants to know."""
    known = config.sign_languages or ()
    languages = f"{len(known)} sign languages" if len(known) > 1 else ""
    rows = [
        ("model", f"{config.name}{f' ({languages})' if languages else ''}"),
        ("knows", config.description),
        ("see", f"{url}/  signs from a camera, a video or a sample, in a browser"),
        ("docs", f"{url}/docs"),
        ("samples", f"{url}/samples"),
    ]
    if needs_key:
        rows.append(("key", "requests need one of SIGNCLIP_API_KEYS: -H 'Authorization: Bearer KEY'"))
    if config.name == SHIPPED:
        rows.append(("words", "the authors' models know signs, not only letters: signclip models download default"))
    lines = [f"  {name:<8} {value}" for name, value in rows]
    return "\n".join(["", f"SignCLIP {version} is ready at {url} (Ctrl-C stops it)", *lines, ""])


def _ask(url: str, path: str) -> dict[str, Any] | None:
    """Ask the service; None when it does not answer, or does not answer 200."""
    try:
        with urllib.request.urlopen(url + path, timeout=_TIMEOUT_S) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except (urllib.error.URLError, OSError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main())
