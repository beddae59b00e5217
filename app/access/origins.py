"""Origins whose pages may call the API, as browsers write them (RFC 6454)."""

from urllib.parse import urlsplit


def normalize_origin(origin: str) -> str:
    """Write an origin as browsers send it: lower case, without a slash at its end.

    Raises:
        ValueError: it is no origin, or has more than an origin.
    """
    if origin == "*":
        return origin
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{origin!r} is no origin; write one as https://sign.example or http://localhost:8080")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{origin!r} has more than an origin; write {parts.scheme}://{parts.netloc} alone")
    return f"{parts.scheme}://{parts.netloc}".lower()
