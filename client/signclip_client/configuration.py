"""Where the service is, who calls, and within which limits."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx2

from signclip_client.version import VERSION

DEFAULT_URL = "http://localhost:3030"
USER_AGENT = f"signclip-client/{VERSION} python/{platform.python_version()}"


@dataclass(frozen=True)
class Limits:
    """How much is sent at once, and how patiently.

    Attributes:
        timeout_s: of one answer. The service estimates about 30 frames of a video in a second on each of its cores.
        tries: how often a request is sent at most.
        longest_wait_s: a service that asks for a longer pause before the next try is not waited for.
        concurrency: requests at a time, when a list is sent in several.
        max_items: items in one request; None: MAX_ITEMS of the kind. Where the service allows fewer, halves are sent.
        max_bytes: of one request's items, before base64. The service's own limit is 64 MiB with base64, if it has not
            been changed. An item that is larger goes alone.
    Raises:
        ValueError: a limit is not above 0, or is no number.
    """

    timeout_s: float = 300.0
    tries: int = 5
    longest_wait_s: float = 60.0
    concurrency: int = 4
    max_items: int | None = None
    max_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("tries", "concurrency", "max_bytes", "timeout_s"):
            if not (0 < getattr(self, name) < math.inf):
                raise ValueError(f"{name} is {getattr(self, name)}, but must be a number above 0")
        if not self.longest_wait_s >= 0:
            raise ValueError(f"longest_wait_s is {self.longest_wait_s}, but must be at least 0")
        if self.max_items is not None and self.max_items < 1:
            raise ValueError(f"max_items is {self.max_items}, but must be at least 1")


# The service takes 2048 texts or entries, 256 poses and 16 videos, if its limits have not been changed. Parts of this
# size keep several requests busy, and report progress now and then.
MAX_ITEMS: Mapping[str, int] = {"text": 512, "pose": 64, "video": 1, "entries": 64}
# Texts and clips that the service compares in one request, if its limit has not been changed.
MOST_TOGETHER = 256


@dataclass(frozen=True)
class Configuration:
    """What a client is built from.

    Attributes:
        url: where the service is; http:// if it does not say. It may end in a path, where a proxy adds one.
        api_key: when the service asks for one. White space around it, as a file of it ends in, is left out.
        model: a name of the service's models; None: the service's default.
    Raises:
        ValueError: the url is no address of HTTP, or the key has characters that no header carries.
    """

    url: str = DEFAULT_URL
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        # Sent as it is, such a key would break each request, and the error of the HTTP library would show it.
        if re.fullmatch(r"[!-~]*", self._bare_key) is None:
            raise ValueError(
                "the API key has a space or a character outside ASCII, which no key of a service has; copy it again"
            )
        try:
            url = httpx2.URL(self.base_url)
        except httpx2.InvalidURL as error:
            raise ValueError(f"{self.url!r} is no address: {error}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"{self.url!r} is no address of a service; give one such as {DEFAULT_URL}")

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Configuration:
        """Read SIGNCLIP_CLIENT_URL, SIGNCLIP_CLIENT_API_KEY, SIGNCLIP_CLIENT_MODEL and SIGNCLIP_CLIENT_TIMEOUT_S.

        Args:
            environment: None: the environment of this process.
        Raises:
            ValueError: the timeout is not a number above 0.
        """
        found = os.environ if environment is None else environment
        timeout = found.get("SIGNCLIP_CLIENT_TIMEOUT_S") or "300"
        try:
            limits = Limits(timeout_s=float(timeout))
        except ValueError as error:
            raise ValueError(f"SIGNCLIP_CLIENT_TIMEOUT_S is {timeout!r}, but must be seconds above 0") from error
        return cls(
            found.get("SIGNCLIP_CLIENT_URL") or DEFAULT_URL,
            found.get("SIGNCLIP_CLIENT_API_KEY") or None,
            found.get("SIGNCLIP_CLIENT_MODEL") or None,
            limits,
        )

    @property
    def base_url(self) -> str:
        """The URL with its scheme, without a slash at the end."""
        url = self.url.strip()
        return (url if "://" in url else f"http://{url}").rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        key = {"Authorization": f"Bearer {self._bare_key}"} if self._bare_key else {}
        return {"User-Agent": USER_AGENT, **key}

    @property
    def _bare_key(self) -> str:
        return (self.api_key or "").strip()
