"""The limits of the files in deploy/ suit those of the service: a proxy that gives up first answers in its place."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from app.intake.entries import MAX_IMPORT_BYTES
from app.intake.videos import limit_body
from app.settings import ServiceSettings
from tests.running import ROOT

DEPLOY = ROOT / "deploy"
SETTINGS = ServiceSettings()
_MIB = 1024 * 1024


@pytest.fixture(scope="module")
def gunicorn() -> Mapping[str, Any]:
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def _read_all(text: str, directive: str) -> list[int]:
    return [int(number) for number in re.findall(rf"^ *{directive} (\d+)[ms]?;", text, re.MULTILINE)]


@pytest.fixture(params=["signclip.conf", "compose.conf"])
def nginx(request: pytest.FixtureRequest) -> str:
    return (DEPLOY / "nginx" / request.param).read_text(encoding="utf-8")


def test_nginx_takes_the_largest_bodies_that_the_service_takes(nginx):
    usual, entries = _read_all(nginx, "client_max_body_size")
    largest = max(limit_body(SETTINGS, in_json=True), SETTINGS.max_body_bytes)
    assert largest <= usual * _MIB < largest + 2 * _MIB
    # One more, because a body at the limit has the frame of its chunks beside it.
    assert entries * _MIB > MAX_IMPORT_BYTES


def test_nginx_waits_longer_than_a_request_may_take(nginx, gunicorn):
    (read_s,) = _read_all(nginx, "proxy_read_timeout")
    longest_s = max(SETTINGS.video_timeout_s, SETTINGS.timeout_s)
    assert read_s > longest_s
    # A service that estimates the videos of some lines reads no further lines meanwhile.
    assert _read_all(nginx, "proxy_send_timeout")[-1] > longest_s
    assert _read_all(nginx, "keepalive_timeout")[0] < gunicorn["keepalive"]


def test_every_way_to_stop_waits_for_what_was_admitted(gunicorn):
    stop_s = gunicorn["graceful_timeout"]
    assert stop_s > max(SETTINGS.video_timeout_s, SETTINGS.timeout_s)
    unit = (DEPLOY / "systemd" / "signclip.service").read_text(encoding="utf-8")
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0]) > stop_s
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    assert int(compose["services"]["signclip"]["stop_grace_period"].removesuffix("s")) > stop_s
    manifest = yaml.safe_load((DEPLOY / "kubernetes" / "base" / "deployment.yaml").read_text(encoding="utf-8"))
    pod = manifest["spec"]["template"]["spec"]
    pause_s = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > stop_s + pause_s


def test_the_operators_of_an_ingress_are_told_what_nginx_is_told():
    nginx = (DEPLOY / "nginx" / "signclip.conf").read_text(encoding="utf-8")
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    usual, entries = _read_all(nginx, "client_max_body_size")
    (read_s,) = _read_all(nginx, "proxy_read_timeout")
    assert f"bodies of {usual} MiB" in operations
    assert f"{entries} MiB for `/api/collections/" in operations
    assert f"wait {read_s} s" in operations
