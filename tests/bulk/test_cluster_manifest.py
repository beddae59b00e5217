"""The cluster for KubeRay fits the command and the requirements."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml

from bulk.arguments import build_parser

ROOT = Path(__file__).resolve().parents[2]


def test_the_job_runs_a_command_that_exists_on_the_ray_that_is_required():
    job = yaml.safe_load((ROOT / "deploy" / "ray" / "cluster.yaml").read_text(encoding="utf-8"))
    program, module, name, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (program, module, name) == ("python", "-m", "bulk")
    options = build_parser().parse_args(arguments)
    assert options.ray == "auto"
    cluster = job["spec"]["rayClusterSpec"]
    required = (ROOT / "requirements-ray.txt").read_text(encoding="utf-8")
    assert f"ray[data]=={cluster['rayVersion']}\n" in required
    # Each machine has a core for its actors' share of --jobs, and one machine has a GPU.
    cores = {
        group["groupName"]: group["replicas"]
        * int(group["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
        for group in cluster["workerGroupSpecs"]
    }
    assert options.jobs < cores["prepare"]
    limits = cluster["workerGroupSpecs"][1]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"
