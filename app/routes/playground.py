"""The playground: a page that shows what the service can do, and the files that the page is made of.

The files lie in app/playground and are served as they are. Their path names their digest, so that browsers may keep
them for good and never mix two versions of the page.
"""

import gzip
import hashlib
import posixpath
import re
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, request, send_file

from app.errors import RouteUnknownError
from app.services import get_services

FOLDER = Path(__file__).resolve().parent.parent / "playground"
# What `make playground` fetches: the pose estimator, too large for the repository.
VENDOR = FOLDER / "vendor"
_MANIFEST = VENDOR / "manifest.json"
# What is served, and as what. Browsers run modules and WebAssembly under these types alone.
_MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".bin": "application/octet-stream",
    ".data": "application/octet-stream",
    ".binarypb": "application/octet-stream",
    ".tflite": "application/octet-stream",
}
# Texts, which gzip makes three times smaller; the fetched files are large, and packed in themselves.
_PACKED = (".js", ".css", ".svg")
_ENTRY = "main.js"
# What a module names and browsers load with it; views are loaded later, by import().
_IMPORT = re.compile(r"""^(?:import|export)\b[^;("']*["'](\.[^"']+)["'];""", re.MULTILINE)
_DIGEST_CHARS = 12
_YEAR_S = 365 * 24 * 3600
# Nothing comes from another host and nothing goes to one: the proof that a video stays in the browser. A worker is held
# to the policy of its own file, so every file carries it. The pose estimator is WebAssembly.
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

blueprint = Blueprint("playground", __name__)


@blueprint.get("/")
def show_page() -> Response:
    """Answer the page."""
    # Relative, because a proxy may serve under a prefix.
    version = find_version(list_files())
    files = f"playground/{version}"
    modules = _find_modules(version)
    values = {
        # Modules that name each other would be asked for one after the other.
        "preloads": "\n".join(f'<link rel="modulepreload" href="{files}/{name}">' for name in modules),
        "files": files,
        "estimator": "installed" if is_estimator_installed() else "missing",
        "keys": "needed" if get_services().settings.needs_keys else "none",
    }
    html = (FOLDER / "index.html").read_text(encoding="utf-8")
    for name, value in values.items():
        html = html.replace(f"{{{name}}}", value)
    response = Response(html, mimetype="text/html")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return _protect(response)


@blueprint.get("/playground/<version>/<path:name>")
def send_page_file(version: str, name: str) -> Response:
    """Answer a file of the page.

    Raises:
        RouteUnknownError: there is no such file, or the page was replaced by another version.
    """
    # Only names of the list reach the disk.
    files = list_files()
    path = files.get(name)
    if path is None:
        raise RouteUnknownError(f"the playground has no file {name[:80]!r}")
    if version != find_version(files):
        raise RouteUnknownError("the playground was replaced by another version; reload the page")
    kind = _MEDIA_TYPES[path.suffix]
    is_packed = path.suffix in _PACKED and VENDOR not in path.parents
    if is_packed and request.accept_encodings.best_match(["gzip"]) is not None:
        response = Response(_pack(path, version), mimetype=kind, headers={"Content-Encoding": "gzip"})
    else:
        response = send_file(path, mimetype=kind, conditional=True)
    if is_packed:
        response.vary.add("Accept-Encoding")
    response.headers["Cache-Control"] = f"public, max-age={_YEAR_S}, immutable"
    return _protect(response)


def list_files() -> dict[str, Path]:
    """List the files that are served, by their paths below the page's folder."""
    found = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in _MEDIA_TYPES and path.is_file())
    return {path.relative_to(FOLDER).as_posix(): path for path in found}


def is_estimator_installed() -> bool:
    """Return whether `make playground` has fetched the pose estimator."""
    # The copy writes its manifest last.
    return _MANIFEST.exists()


def find_version(files: dict[str, Path]) -> str:
    """Find the digest of all files; it changes when one of them does.

    Args:
        files: as `list_files` lists them.
    """
    # The manifest has the digests of the fetched files, which are too large to read at every request.
    own = [path for path in files.values() if VENDOR not in path.parents]
    read = [*own, FOLDER / "index.html", *([_MANIFEST] if is_estimator_installed() else [])]
    return _digest(tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in read))


@lru_cache(maxsize=1)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    total = hashlib.sha256()
    for path, _, _ in files:
        content = path.read_bytes()
        total.update(f"{path.relative_to(FOLDER).as_posix()} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()[:_DIGEST_CHARS]


@lru_cache(maxsize=1)
def _find_modules(_version: str) -> tuple[str, ...]:
    """Find the modules that the page loads at once; the version is there to look anew when one changed."""
    found: dict[str, None] = {_ENTRY: None}
    _follow_imports(_ENTRY, found)
    return tuple(found)


def _follow_imports(name: str, found: dict[str, None]) -> None:
    for imported in _IMPORT.findall((FOLDER / name).read_text(encoding="utf-8")):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), imported))
        if path not in found:
            found[path] = None
            _follow_imports(path, found)


# As many as a page has files, of two versions.
@lru_cache(maxsize=256)
def _pack(path: Path, _version: str) -> bytes:
    """Pack a file; the version is there to read a changed one anew."""
    return gzip.compress(path.read_bytes(), mtime=0)


def _protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=()"
    return response
