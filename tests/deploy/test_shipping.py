"""What operators deploy: the image, systemd, Prometheus, Grafana and Kubernetes, as far as they are checked here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.programs import needs
from tests.running import ROOT

DEPLOY = ROOT / "deploy"


def test_the_image_holds_what_the_service_needs_and_nothing_else(tmp_path):
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in allowed:
        source = ROOT / name
        assert source.exists(), name
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    program = (
        "import runpy; runpy.run_path('gunicorn.conf.py'); import app; app.app; "
        "import engine.server, video.server, models.download, models.verification, signclip, app.access.__main__"
    )
    environment = {"PATH": "/usr/bin:/bin", "SIGNCLIP_WEIGHTS_DIR": str(tmp_path / "volume"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_image_runs_as_a_number_and_stops_in_order():
    text = (ROOT / "Dockerfile").read_text()
    assert "USER 10001:10001" in text
    assert "STOPSIGNAL SIGTERM" in text
    assert re.search(r"^ARG PYTHON_IMAGE=", text, re.MULTILINE)
    assert "/healthz" in text
    assert not re.search(r"chown.*(/srv|weights/fingerspelling)", text)
    assert re.search(r"^FROM service AS cpu$", text, re.MULTILINE)
    assert re.search(r"^FROM service AS cuda$", text, re.MULTILINE)


def test_what_a_service_writes_lies_where_it_may_write():
    """Its own folder belongs to root in the image, and is read-only under systemd."""
    image = (ROOT / "Dockerfile").read_text()
    (volume,) = re.findall(r"^VOLUME (\S+)$", image, re.MULTILINE)
    unit = (DEPLOY / "systemd" / "signclip.service").read_text()
    (state,) = re.findall(r"^StateDirectory=(\S+)$", unit, re.MULTILINE)
    for text, folder in ((image, volume), (unit, f"/var/lib/{state}")):
        for name in ("WEIGHTS", "SEARCH"):
            (place,) = re.findall(rf"\bSIGNCLIP_{name}_DIR=(\S+)", text)
            assert Path(folder) in Path(place).parents


def test_the_image_installs_the_pinned_versions_by_their_digests():
    locked = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if not line.startswith("#"):
            found = re.fullmatch(r"([\w.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line)
            assert found is not None, line
            locked[re.sub(r"[-_.]+", "-", found[1]).lower()] = found[2]
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith(("#", "torch==")):
            name, version = line.partition(";")[0].strip().split("==")
            assert locked[re.sub(r"[-_.]+", "-", name).lower()] == version
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --no-deps --requirement requirements.lock" in text


def test_files_that_the_image_names_come_along():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \./$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    named = {name for line in copies for name in line.split()}
    assert named
    assert named <= kept


def test_the_checks_of_a_change_call_targets_that_exist():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = set(re.findall(r"\bmake ([a-z-]+)", " ".join(commands)))
    makefile = (ROOT / "Makefile").read_text()
    assert targets == {"lint", "playground", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    stages = re.findall(r"--target (\w+)", " ".join(commands))
    assert all(f"AS {stage}" in (ROOT / "Dockerfile").read_text() for stage in stages)


def _run_installed(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that requirements-dev.txt brings along."""
    command = [str(Path(sys.executable).parent / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_hadolint_has_nothing_to_say_of_the_dockerfile():
    done = _run_installed("hadolint", str(ROOT / "Dockerfile"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_knows_every_field_of_the_manifests(tmp_path):
    base = DEPLOY / "kubernetes" / "base"
    resources = [base / name for name in yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]]
    assert resources
    done = _run_installed("kubernetes-validate", "--strict", *map(str, resources))
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "deployment.yaml"
    wrong.write_text((base / "deployment.yaml").read_text().replace("replicas:", "replica:"))
    assert _run_installed("kubernetes-validate", "--strict", str(wrong)).returncode != 0


def test_systemd_takes_the_unit(tmp_path):
    program = needs("systemd-analyze")
    text = (DEPLOY / "systemd" / "signclip.service").read_text()
    unit = tmp_path / "signclip.service"
    # The checkout and the manual lie elsewhere on this machine.
    unit.write_text(text.replace("/opt/signclip/.venv/bin/gunicorn", "/bin/true").replace("/opt/signclip/docs", "/usr"))
    held = tmp_path / "signclip.socket"
    held.write_text((DEPLOY / "systemd" / "signclip.socket").read_text())
    done = subprocess.run([program, "verify", str(unit), str(held)], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "signclip" in line and "Unknown" in line]
    assert not complaints, done.stderr
    assert done.returncode == 0 or "Failed to" in done.stderr, done.stderr
    stop_s = int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1])  # type: ignore[index]
    assert stop_s >= 610
    assert "NoNewPrivileges=yes" in text
    assert "Requires=signclip.socket" in text
    assert re.search(r"^ListenStream=127\.0\.0\.1:3030$", held.read_text(), re.MULTILINE)


def test_prometheus_takes_the_rules_and_every_metric_exists():
    folder = DEPLOY / "prometheus"
    documented = (ROOT / "docs" / "metrics.md").read_text()
    dashboard = json.loads((DEPLOY / "grafana" / "signclip.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    for name in set(re.findall(r"signclip_\w+", (folder / "alerts.yml").read_text() + asked)):
        plain = re.sub(r"_(bucket|count|sum)$", "", name)
        known = plain in documented or re.sub(r"_process_.*", "_process_*", plain) in documented
        assert known, f"docs/metrics.md does not name {name}"
    program = needs("promtool")
    for arguments in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"]):
        done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def _manifests() -> Iterator[dict[str, Any]]:
    for file in sorted((DEPLOY / "kubernetes" / "base").glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


def test_kubernetes_manifests_name_each_other_and_keep_the_promises():
    kinds = {}
    for manifest in _manifests():
        assert manifest["apiVersion"]
        kinds[manifest["kind"]] = manifest
    files = {file.name for file in (DEPLOY / "kubernetes" / "base").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kinds["Kustomization"]["resources"]) == files
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    pause_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= 610 + pause_s
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind, path in (("Service", ("selector",)), ("PodDisruptionBudget", ("selector", "matchLabels"))):
        found = kinds[kind]["spec"]
        for step in path:
            found = found[step]
        assert found.items() <= labels.items()
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in kinds["Service"]["spec"]["ports"]} <= ports
    gpu = yaml.safe_load((DEPLOY / "kubernetes" / "gpu" / "kustomization.yaml").read_text())
    assert "nvidia.com~1gpu" in gpu["patches"][0]["patch"]


def test_compose_names_files_and_settings_that_exist():
    from app.variables import SETTINGS

    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and source not in ("./keys", "./certificates"):
                assert (DEPLOY / source).exists(), source
    known = {setting.variable for setting in SETTINGS} | {"WEB_CONCURRENCY"}
    assert set(services["signclip"]["environment"]) <= known
    unit = (DEPLOY / "systemd" / "signclip.service").read_text()
    manifests = (DEPLOY / "kubernetes" / "base" / "deployment.yaml").read_text()
    operations = (ROOT / "docs" / "operations.md").read_text()
    for text in (unit, manifests, operations, (ROOT / "Dockerfile").read_text()):
        assert set(re.findall(r"SIGNCLIP_[A-Z_]+", text)) <= known


def test_compose_shows_the_service_a_keys_file_that_is_replaced():
    # A file that is mounted by itself stays the one that it was: a revoked key would go on opening the service.
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["signclip"]
    keys = Path(service["environment"]["SIGNCLIP_API_KEYS_FILE"])
    mounted = {Path(volume.split(":")[1]) for volume in service["volumes"]}
    assert keys.parent in mounted
    assert keys not in mounted
