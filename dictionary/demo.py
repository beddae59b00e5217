"""The collection to try everything with: the letters of 19 sign languages' alphabets."""

import os
import threading
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import replace

from corpora.examples import Example, Skipped
from corpora.readers import fingerspelling_lexicon
from dictionary.errors import ServiceError

COLLECTION = "alphabets"
# A service loads its model in some seconds, on a busy machine in a minute.
_READY_WITHIN_S = 300.0
_PAUSE_S = 1.0


def list_letters() -> tuple[list[Example], list[Skipped]]:
    """List the clips of the fingerspelling lexicon, with ids that can stand in addresses, such as `ase-A`.

    Raises:
        FileMissingError: the package of the lexicon is not installed; the message says how to install it.
        CorpusError: the lexicon cannot be read.
    """
    corpus = fingerspelling_lexicon.read(fingerspelling_lexicon.find_installed_folder(), "all")
    letters, seen = [], Counter[str]()
    for example in corpus.examples:
        name = f"{example.sign_language}-{example.text.replace('/', '-')}"
        seen[name] += 1
        # Of a letter that is there twice, both clips are kept.
        letters.append(replace(example, id=name if seen[name] == 1 else f"{name}-{seen[name]}"))
    return letters, list(corpus.skipped)


def wait_until_ready(url: str) -> None:
    """Wait until a service can answer.

    Raises:
        ServiceError: it is not ready after five minutes.
    """
    never = threading.Event()
    for _ in range(round(_READY_WITHIN_S / _PAUSE_S)):
        try:
            with urllib.request.urlopen(f"{url.rstrip('/')}/readyz", timeout=10):
                return
        except (urllib.error.URLError, OSError):
            never.wait(_PAUSE_S)
    raise ServiceError(f"{url} is not ready after {_READY_WITHIN_S:g} s")


def find_service_key() -> str | None:
    """Find a key of the service that started this process, in the environment that both share."""
    return os.environ.get("SIGNCLIP_API_KEYS", "").split(",")[0].strip() or None
