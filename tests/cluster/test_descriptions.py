"""The descriptions under cluster/ are what Ray, Kubernetes and Slurm take, and they agree with this repository."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import ray
import yaml
from pydantic import BaseModel, ConfigDict
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.support.places import ROOT

CLUSTER = ROOT / "cluster"


class Known(BaseModel):
    """A Kubernetes object of which every key is known: KubeRay's API reference for ray.io/v1."""

    model_config = ConfigDict(extra="forbid", strict=True)


class HeadGroup(Known):
    rayStartParams: dict[str, str]
    template: dict[str, Any]


class WorkerGroup(HeadGroup):
    groupName: str
    replicas: int
    minReplicas: int
    maxReplicas: int


class AutoscalerOptions(Known):
    idleTimeoutSeconds: int


class AuthOptions(Known):
    mode: str


class RayClusterSpec(Known):
    rayVersion: str
    enableInTreeAutoscaling: bool
    autoscalerOptions: AutoscalerOptions
    authOptions: AuthOptions
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]


class RayJobSpec(Known):
    entrypoint: str
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: int
    backoffLimit: int
    rayClusterSpec: RayClusterSpec


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CLUSTER / name).read_text())
    return content


@pytest.fixture(scope="module")
def job() -> RayJobSpec:
    description = read("rayjob.yaml")
    assert (description["apiVersion"], description["kind"]) == ("ray.io/v1", "RayJob")
    return RayJobSpec.model_validate(description["spec"])


def test_ray_takes_the_autoscalers_description() -> None:
    validate_config(prepare_config(read("autoscaler.yaml")))


def test_the_autoscaler_starts_with_the_head_alone_and_trains_nothing_on_it() -> None:
    description = read("autoscaler.yaml")
    nodes = description["available_node_types"]
    assert nodes[description["head_node_type"]]["resources"] == {"CPU": 0}
    assert all(nodes[name]["min_workers"] == 0 for name in nodes.keys() - {description["head_node_type"]})


def test_ray_asks_for_a_token_on_every_cluster(job: RayJobSpec) -> None:
    assert "-e RAY_AUTH_MODE=token" in read("autoscaler.yaml")["docker"]["run_options"]
    assert job.rayClusterSpec.authOptions.mode == "token"
    assert "export RAY_AUTH_MODE=token" in (CLUSTER / "slurm.sh").read_text()


def test_kubernetes_takes_the_pods(job: RayJobSpec) -> None:
    for group in (job.rayClusterSpec.headGroupSpec, *job.rayClusterSpec.workerGroupSpecs):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "node"}, **group.template}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_job_goes_with_its_cluster_and_is_tried_again(job: RayJobSpec) -> None:
    assert job.shutdownAfterJobFinishes
    assert job.backoffLimit >= 1
    assert job.rayClusterSpec.headGroupSpec.rayStartParams == {"num-cpus": "0"}


def test_every_node_has_the_shared_disk(job: RayJobSpec) -> None:
    for group in (job.rayClusterSpec.headGroupSpec, *job.rayClusterSpec.workerGroupSpecs):
        (container,) = group.template["spec"]["containers"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/shared", "/dev/shm"}
    assert "-v /shared:/shared" in read("autoscaler.yaml")["docker"]["run_options"]


def test_the_version_of_ray_is_the_locked_one(job: RayJobSpec) -> None:
    locked = re.search(r"^ray==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked
    assert job.rayClusterSpec.rayVersion == locked[1] == ray.__version__


def test_the_slurm_script_is_sound() -> None:
    script = CLUSTER / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)
    environment = {"PATH": "/usr/bin:/bin"}
    for asked in ("start this with sbatch", "name an MLflow server"):
        refused = subprocess.run(["bash", str(script)], capture_output=True, text=True, env=environment)
        assert refused.returncode != 0
        assert asked in refused.stderr
        environment["SLURM_SUBMIT_DIR"] = str(ROOT)


def test_what_installs_the_packages_has_one_version_everywhere_and_takes_nothing_without_its_hash() -> None:
    makefile, image = ((ROOT / name).read_text() for name in ("Makefile", "cluster/Dockerfile"))
    (pinned,) = re.findall(r"^UV +:= ([\d.]+)$", makefile, re.MULTILINE)
    assert re.findall(r"pip install.* (uv\S*)", makefile) == ["uv==$(UV)"]
    assert re.findall(r"pip install.* (uv\S*) &&", image) == [f"uv=={pinned}"]
    for installed in re.findall(r"pip install.*-r .*", makefile + image):
        assert "--require-hashes" in installed


def test_the_image_is_named_by_its_digest() -> None:
    """A tag is what its owner says it is today."""
    (base,) = re.findall(r"^FROM (\S+)", (CLUSTER / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim@sha256:[0-9a-f]{64}", base)


def test_what_a_person_puts_into_params_yaml_is_one_word_for_the_shell() -> None:
    """Of `study: "x; rm -rf ~"`, too."""
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        bare = re.sub(r"'\$\{\w+\}'", "", stage["cmd"])
        assert bare != stage["cmd"], f"{name} takes nothing from params.yaml?"
        assert "$" not in bare, f"{name}: {stage['cmd']}"
