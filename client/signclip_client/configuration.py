"""Where the service is, who calls, and within which limits."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

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
        ValueError: a limit is not above 0.
    """

    timeout_s: float = 300.0
    tries: int = 5
    longest_wait_s: float = 60.0
    concurrency: int = 4
    max_items: int | None = None
    max_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("tries", "concurrency", "max_bytes", "timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be more than 0")
        if self.max_items is not None and self.max_items < 1:
            raise ValueError(f"max_items is {self.max_items}, but must be at least 1")


# The service takes 2048 texts or entries, 256 poses and 16 videos, if its limits have not been changed. Parts of this
# size keep several requests busy, and report progress now and then.
MAX_ITEMS: Mapping[str, int] = {"text": 512, "pose": 64, "video": 1, "entries": 64}


@dataclass(frozen=True)
class Configuration:
    """What a client is built from.

    Attributes:
        url: where the service is; http:// if it does not say. It may end in a path, where a proxy adds one.
        api_key: when the service asks for one.
        model: a name of the service's models; None: the service's default.
    """

    url: str = DEFAULT_URL
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    limits: Limits = field(default_factory=Limits)

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
        return (self.url if "://" in self.url else f"http://{self.url}").rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        key = {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}
        return {"User-Agent": USER_AGENT, **key}
