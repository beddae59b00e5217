"""What fetches the playground's pose estimator: pinned, bound to no registry, and the same in make and image."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess

import pytest

from app.routes import playground
from tests.deploy.programs import needs
from tests.running import ROOT

HOLISTIC = ROOT / "node_modules" / "@mediapipe" / "holistic"
fetched = pytest.mark.skipif(not HOLISTIC.is_dir(), reason="node_modules is not there; make playground fetches it")


def test_every_package_is_pinned_by_its_digest():
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    packages = [package for path, package in lock["packages"].items() if path]
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    # An address would bind everybody to the registry of whoever wrote the file last.
    assert "resolved" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text(encoding="utf-8")


def test_requests_name_the_version_that_is_fetched():
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]["@mediapipe/holistic"]
    source = (playground.FOLDER / "estimation" / "extractor.js").read_text(encoding="utf-8")
    assert re.search(r'HOLISTIC_VERSION = "(.+)"', source)[1] == wanted  # type: ignore[index]


@fetched
def test_the_stage_of_the_image_has_all_it_needs(tmp_path):
    """The copies of the Dockerfile, in a folder of their own, with the packages that `npm ci` brings."""
    node = needs("node")
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stage = text.partition(" AS playground\n")[2].partition("\nFROM ")[0]
    copies = [line.split()[1:] for line in stage.splitlines() if line.startswith("COPY ")]
    for *names, target in copies:
        (tmp_path / target).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(ROOT / name, tmp_path / target)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    subprocess.run([node, "app/playground/copy_vendor.mjs"], cwd=tmp_path, check=True, capture_output=True)
    vendor = tmp_path / "app" / "playground" / "vendor"
    manifest = json.loads((vendor / "manifest.json").read_text(encoding="utf-8"))
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
    assert "COPY --from=playground /build/app/playground/vendor app/playground/vendor" in text


@fetched
def test_the_types_of_the_page_hold():
    compiler = ROOT / "node_modules" / ".bin" / "tsc"
    done = subprocess.run([str(compiler), "--project", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
