"""`make serve-production`: the shipped nginx in front, and a sentence where there is no nginx."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.deploy.programs import needs
from tests.running import ROOT

SCRIPT = ROOT / "deploy" / "serve.sh"


def test_nginx_takes_what_the_script_writes(tmp_path: Path) -> None:
    needs("nginx")
    needs("openssl")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "HTTPS_PORT": "18443", "HTTP_PORT": "18080"}
    done = subprocess.run([str(SCRIPT), "--check"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
    # A folder without a certificate is refused before anything starts.
    refused = subprocess.run([str(SCRIPT), "--check"], env={**environment, "CERTIFICATE_FOLDER": "/nowhere"})
    assert refused.returncode != 0


def test_without_nginx_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    copy = tmp_path / "deploy" / "serve.sh"
    copy.write_text(SCRIPT.read_text().replace("/usr/sbin:/sbin", "/nowhere"))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname"):
        (programs / name).symlink_to(shutil.which(name) or "")
    bash = str(programs / "bash")
    done = subprocess.run([bash, str(copy)], env={"PATH": str(programs)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "apt-get install nginx-light" in done.stderr
