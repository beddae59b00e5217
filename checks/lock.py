"""`python -m checks.lock`: writes requirements.lock, which pins what the image installs by the SHA-256 of each file.

The files are those of Linux on x86-64 and Python 3.11, as the image has it. torch is left out, because an image has its
CPU build or the one for GPUs. Run it with that Python, and with the network, when requirements change.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
# torch, and what its build for GPUs brings along.
_OF_TORCH = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
_HEAD = "# Files for Linux on x86-64 and Python 3.11; `python -m checks.lock` writes them anew.\n"


def main() -> int:
    """Resolve the requirements and write the file; returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        files = ["--requirement", "requirements.txt", "--constraint", "constraints.txt", "--report", str(report)]
        status = subprocess.run([*command, *files], cwd=ROOT, check=False).returncode
        if status:
            return status
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    write(found)
    return 0


def write(found: list[Mapping[str, Any]]) -> None:
    """Write the packages of pip's report into the file."""
    lines = []
    for package in found:
        name, version = package["metadata"]["name"], package["metadata"]["version"]
        digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
        if not _OF_TORCH.fullmatch(name.lower()):
            lines.append(f"{name}=={version} --hash=sha256:{digest}\n")
    LOCK.write_text(_HEAD + "".join(sorted(lines, key=str.lower)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
