"""The API keys of a service: who has them, what they open and how much they may use. Only digests are kept."""

import hashlib
import hmac
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from limits import parse_many

from processes.os_errors import describe_reason

log = logging.getLogger(__name__)
# What keys may open: vectors and poses, searches in collections, changes of collections, counters and all of these.
SCOPES = ("embed", "search_read", "search_write", "admin")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# How often the file is looked at, in seconds.
_LOOK_S = 1.0
# Of a keys file. A line has some 100 bytes.
_FILE_BYTES = 16 * 1024 * 1024


class KeysError(ValueError):
    """A file of keys cannot be read; the message says where and why."""


@dataclass(frozen=True)
class Key:
    """One API key.

    Attributes:
        name: whose key it is; shown in the log and in metrics, where the key itself never is.
        digest: SHA-256 of the key.
        scopes: what it opens, words of SCOPES.
        rate_limit: requests in a time, as "600/minute"; None: as the settings say.
        item_limit: texts and clips in a time; None: as the settings say.
    """

    name: str
    digest: bytes
    scopes: frozenset[str] = frozenset(SCOPES)
    rate_limit: str | None = None
    item_limit: str | None = None

    def opens(self, scope: str) -> bool:
        """Check whether the key opens something; admin opens everything."""
        return scope in self.scopes or "admin" in self.scopes

    def write_line(self) -> str:
        """Write the key's line of a keys file."""
        words = [self.name, self.digest.hex(), f"scopes={','.join(s for s in SCOPES if s in self.scopes)}"]
        words += [f"requests={self.rate_limit}"] if self.rate_limit else []
        words += [f"items={self.item_limit}"] if self.item_limit else []
        return " ".join(words)


def make_key() -> str:
    """Make a key that nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest_key(key: str) -> bytes:
    """Compute the SHA-256 of a key. Nothing slower is needed, because keys are random."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def normalize_limit(text: str) -> str:
    """Write a limit without blanks, because these part the words of a keys file: 10 per 5 minutes is 10/5minute.

    Raises:
        KeysError: it is not as 600/minute, or several of these with ; between them.
    """
    try:
        limits = parse_many(text)
    except ValueError:
        limits = []
    if limits and all(limit.amount > 0 for limit in limits):
        return ";".join(
            f"{one.amount}/{one.multiples if one.multiples > 1 else ''}{one.GRANULARITY.name}" for one in limits
        )
    raise KeysError(f"{text!r} is no limit; write one as 600/minute, several as 10/second;600/minute")


def read_line(line: str) -> Key:
    """Read one line of a keys file: a name, the SHA-256 of the key, and options.

    Raises:
        KeysError: a word is wrong; the message names it.
    """
    name, digest, *options = line.split() + [""] * (2 - len(line.split()))
    if not _NAME.fullmatch(name):
        raise KeysError(f"{name!r} is no name of a key; it has 1 to 64 letters, digits, dots, dashes and underscores")
    if not _DIGEST.fullmatch(digest):
        raise KeysError(f"{name}: the second word is no SHA-256; it has 64 digits and letters a to f")
    given: dict[str, str] = {}
    for option in options:
        word, _, value = option.partition("=")
        if word not in ("scopes", "requests", "items") or word in given or not value:
            raise KeysError(f"{name}: {option!r} is not one of scopes=…, requests=… and items=…, each once")
        given[word] = value
    scopes = frozenset(given.get("scopes", ",".join(SCOPES)).split(","))
    if not scopes <= set(SCOPES):
        raise KeysError(f"{name}: {', '.join(sorted(scopes - set(SCOPES)))} is no scope; there are {', '.join(SCOPES)}")
    limits = {word: normalize_limit(given[word]) for word in ("requests", "items") if word in given}
    return Key(name, bytes.fromhex(digest), scopes, limits.get("requests"), limits.get("items"))


def read_keys(path: Path) -> dict[str, Key]:
    """Read a keys file: a key a line; empty lines and those that begin with # are skipped.

    Returns:
        The keys by name.
    Raises:
        KeysError: the file cannot be read, a line is wrong, or two keys share a name.
    """
    keys: dict[str, Key] = {}
    try:
        if path.stat().st_size > _FILE_BYTES:
            raise KeysError(f"{path} has more than {_FILE_BYTES} bytes")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"{path} cannot be read: {describe_reason(error)}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            key = read_line(line)
        except KeysError as error:
            raise KeysError(f"{path}, line {number}: {error}") from error
        if key.name in keys:
            raise KeysError(f"{path}, line {number}: there is a key {key.name!r} already")
        keys[key.name] = key
    return keys


class Keyring:
    """The keys of a service. A file of keys is read again when it changes.

    Args:
        fixed: keys that never change.
        file: a keys file; None: there is none.
    Raises:
        KeysError: the file cannot be read, or there is no key at all.
    """

    def __init__(self, fixed: Iterable[Key], file: Path | None) -> None:
        self._fixed = tuple(fixed)
        self._file = file
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._identity = self._identify()
        self._keys = (*self._fixed, *read_keys(file).values()) if file is not None else self._fixed
        if not self._keys:
            raise KeysError(f"there is no key in {file}" if file is not None else "there is no key")

    def find(self, given: str) -> Key | None:
        """Find a key.

        All digests are compared, each in constant time: neither the time nor the answer reveals how near a guess is.
        """
        self._look()
        digest, found = digest_key(given), None
        for key in self._keys:
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found

    def _look(self) -> None:
        """Read the file again when it has changed. What cannot be read changes nothing: no key comes or goes."""
        if self._file is None or time.monotonic() - self._looked < _LOOK_S:
            return
        with self._lock:
            self._looked = time.monotonic()
            identity = self._identify()
            if identity == self._identity:
                return
            self._identity = identity
            try:
                self._keys = (*self._fixed, *read_keys(self._file).values())
            except KeysError as error:
                log.error("the keys stay as they were", extra={"error": str(error)})
            else:
                log.info("read the keys again", extra={"keys": len(self._keys)})

    def _identify(self) -> tuple[int, int, int, int] | None:
        try:
            found = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        if found is None:
            return None
        # The time of change is another also when only the owner or the rights were set right.
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
