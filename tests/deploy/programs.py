"""Programs that the files of deploy/ are for."""

from __future__ import annotations

import shutil

import pytest


def needs(program: str) -> str:
    """Find a program that Debian has and this machine may lack."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found
