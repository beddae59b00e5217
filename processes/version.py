"""The version of the service: the only place that states it. CHANGELOG.md says what each version changed."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VERSION = "1.0.0"
PRODUCT = f"signclip {VERSION}"
"""What `--version` prints."""

_ROOT = Path(__file__).resolve().parent.parent


def find_commit() -> tuple[str | None, bool]:
    """Find the commit of the checkout that runs.

    Returns:
        The first 12 digits, and whether tracked files differ from it; None and False for a copy without its history.
    """
    commit = _ask_git("rev-parse", "--short=12", "HEAD")
    return commit, bool(commit and _ask_git("status", "--porcelain", "--untracked-files=no"))


def find_package_versions(packages: tuple[str, ...]) -> dict[str, str | None]:
    """Find the installed versions of packages; None for a package that is not installed."""
    versions: dict[str, str | None] = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


def _ask_git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # a copy without its history
    return done.stdout.strip()
