"""deploy/: manifests by the published schemas, and by what this service really answers and takes."""

import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from service.api.routes import router
from service.observability.metrics import Metrics
from service.settings import Settings
from tests.conftest import REPOSITORY

KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
MANIFESTS = [path for path in sorted(KUBERNETES.glob("base/*.yaml")) if path.name != "kustomization.yaml"]
PATHS = {getattr(route, "path", "") for route in router.routes}


def manifest(name: str) -> dict:
    return yaml.safe_load((KUBERNETES / "base" / f"{name}.yaml").read_text())


@pytest.fixture
def pod() -> dict:
    return manifest("deployment")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod) -> dict:
    (only,) = pod["containers"]
    return only


@pytest.mark.parametrize("version", ["1.32", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_is_valid_by_the_published_schema(path, version):
    for document in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_validation_would_notice():
    broken = manifest("deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.32", strict=True)


def test_kustomize_takes_every_manifest():
    listed = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == [path.name for path in MANIFESTS]
    assert {manifest(path.stem)["kind"] for path in MANIFESTS} == {
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
    }


@pytest.mark.parametrize("folder", ["base", "keys"])
def test_what_kustomize_makes_is_valid_too(folder):
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl")
    made = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES / folder], capture_output=True, text=True, check=True
    ).stdout
    documents = list(yaml.safe_load_all(made))
    assert len(documents) == len(MANIFESTS)
    for document in documents:
        kubernetes_validate.validate(document, "1.32", strict=True)
    (deployment,) = (document for document in documents if document["kind"] == "Deployment")
    (service,) = deployment["spec"]["template"]["spec"]["containers"]
    assert service["readinessProbe"]
    assert ("SERVICE_API_KEYS" in str(service["env"])) == (folder == "keys")


def test_selectors_choose_the_pods_that_the_scaler_scales():
    deployment = manifest("deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert manifest("service")["spec"]["selector"].items() <= labels.items()
    assert manifest("poddisruptionbudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    scaler = manifest("horizontalpodautoscaler")["spec"]
    target = {key: scaler["scaleTargetRef"][key] for key in ("apiVersion", "kind")}
    assert target == {key: deployment[key] for key in ("apiVersion", "kind")}
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    (metric,) = scaler["metrics"]
    assert metric["pods"]["metric"]["name"] in {series.name for series in Metrics()._registry.collect()}
    assert "replicas" not in deployment["spec"]  # which each apply would set back


def test_probes_ask_what_there_is_on_the_port_that_is_served(container):
    (port,) = container["ports"]
    assert port["containerPort"] == Settings().port
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in PATHS
        assert asked["port"] == port["name"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert manifest("service")["spec"]["ports"][0]["targetPort"] == port["name"]
    assert manifest("networkpolicy")["spec"]["ingress"][0]["ports"][0]["port"] == port["name"]


def test_settings_exist_with_time_to_drain_and_memory(pod, container):
    environment = {item["name"]: item["value"] for item in container["env"]}
    known = {f"SERVICE_{name.upper()}" for name in Settings.model_fields}
    assert environment.keys() <= known
    settings = Settings(**{name.removeprefix("SERVICE_").lower(): value for name, value in environment.items()})
    stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= stop + settings.shutdown_timeout_s + 3 + 5
    limit = int(re.fullmatch(r"(\d+)Gi", container["resources"]["limits"]["memory"])[1]) << 30
    assert limit > 16 * settings.max_pixels * settings.decode_threads + (settings.max_buffered_mib << 20) + (200 << 20)


def test_it_runs_as_nobody_and_writes_nothing(pod, container):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {pod['securityContext']['runAsUser']} " in (REPOSITORY / "Dockerfile").read_text()
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    policy = manifest("networkpolicy")["spec"]
    assert policy["egress"] == []
    assert policy["policyTypes"] == ["Ingress", "Egress"]


def test_the_keys_overlay_sets_what_there_is():
    patch = yaml.safe_load((KUBERNETES / "keys" / "deployment.yaml").read_text())
    assert patch["metadata"]["name"] == manifest("deployment")["metadata"]["name"]
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    assert container["name"] == manifest("deployment")["spec"]["template"]["spec"]["containers"][0]["name"]
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert {name.removeprefix("SERVICE_").lower() for name in environment} <= Settings.model_fields.keys()
    (mount,) = container["volumeMounts"]
    assert environment["SERVICE_API_KEYS"].startswith(mount["mountPath"])


def test_every_file_there_is_known_here():
    files = {str(path.relative_to(REPOSITORY / "deploy")) for path in (REPOSITORY / "deploy").rglob("*.*")}
    assert {name for name in files if not name.startswith("kubernetes/")} == {"grafana-dashboard.json", "nginx.conf"}
