"""What is deployed is hardened, complete, and free of default passwords."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from leadrail_tools.architecture.shape import SERVICES, package_of
from leadrail_tools.checkout import repository_root
from leadrail_tools.compose_env import environment, filled
from leadrail_tools.contracts.services import settings_class

CLOSE_SECONDS = 9  # serving.CANCEL_SECONDS, and what producer and pool take at most
ROOT = repository_root()
PORTS = {"ingest": 8001, "scoring": 8002, "consent": 8003, "routing": 8004, "sla-monitor": 8005}
every_service = pytest.mark.parametrize("service", SERVICES)


def compose() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return data


def manifests(file: str) -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((ROOT / "deploy/k8s" / file).read_text())
    return {document["kind"]: document for document in documents}


def pod(file: str, kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = manifests(file)[kind]["spec"]["template"]["spec"]
    return spec


# Docker Compose


@every_service
def test_compose_runs_each_service_hardened(service: str) -> None:
    entry = compose()["services"][service]
    assert entry["read_only"] is True
    assert entry["cap_drop"] == ["ALL"]
    assert entry["security_opt"] == ["no-new-privileges:true"]
    assert entry["build"] == {"context": ".", "dockerfile": f"services/{service}/Dockerfile"}


@every_service
def test_compose_publishes_services_on_this_machine_only(service: str) -> None:
    assert compose()["services"][service]["ports"] == [f"127.0.0.1:{PORTS[service]}:{PORTS[service]}"]


def test_compose_publishes_neither_kafka_nor_postgres() -> None:
    assert "ports" not in compose()["services"]["kafka"]
    assert "ports" not in compose()["services"]["postgres"]


def test_every_variable_of_compose_stops_it_when_empty() -> None:
    used = re.findall(r"\$\{(\w+)(:\?)?", (ROOT / "docker-compose.yml").read_text())
    assert {name for name, must_be_set in used if not must_be_set} == set()


def test_the_example_environment_lists_every_variable_of_compose_and_no_value() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    assert {line.removesuffix("=") for line in lines} == used | {"METRICS_KEY"}


def test_the_written_environment_fills_every_variable() -> None:
    text = filled((ROOT / ".env.example").read_text(), environment("postgres:5432"))
    assert [line for line in text.splitlines() if re.fullmatch(r"\w+=", line)] == []


def test_two_environments_share_no_secret() -> None:
    first, second = environment("postgres:5432"), environment("postgres:5432")
    assert set(first.values()) & set(second.values()) == set()


def test_each_service_connects_with_its_own_role() -> None:
    urls = [value for name, value in environment("postgres:5432").items() if name.endswith("_DATABASE_URL")]
    roles = {url.split("//")[1].split(":")[0] for url in urls}
    assert roles == {f"leadrail_{package_of(service)}" for service in SERVICES}


# Images


@every_service
def test_the_image_runs_as_nobody_and_is_built_from_the_lock(service: str) -> None:
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    assert re.search(r"^USER 10001$", text, flags=re.MULTILINE)
    assert f"uv sync --frozen --no-dev --no-editable --package leadrail-{service}" in text
    assert f"EXPOSE {PORTS[service]}" in text
    assert f'ENTRYPOINT ["{service}"]' in text


def test_the_five_images_differ_in_name_and_port_only() -> None:
    assert len({generalised(service) for service in SERVICES}) == 1


def generalised(service: str) -> str:
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    for name, general in ((package_of(service).upper(), "NAME"), (service, "name"), (str(PORTS[service]), "port")):
        text = text.replace(name, general)
    return text


# Kubernetes


@every_service
def test_a_deployment_may_do_nothing_but_its_job(service: str) -> None:
    spec = pod(f"{service}.yaml", "Deployment")
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@every_service
def test_a_deployment_is_probed_bounded_and_drained(service: str) -> None:
    spec = pod(f"{service}.yaml", "Deployment")
    (container,) = spec["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["resources"]["limits"]["memory"]


@every_service
def test_a_pod_may_turn_away_drain_and_close_before_it_is_killed(service: str) -> None:
    turn_away = float(manifests("config.yaml")["ConfigMap"]["data"]["LEADRAIL_TURN_AWAY_SECONDS"])
    deployment = manifests(f"{service}.yaml")["Deployment"]["spec"]
    drain = settings_class(service).model_fields["shutdown_seconds"].default
    assert turn_away > 0
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] > turn_away + drain + CLOSE_SECONDS
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@every_service
def test_a_deployment_has_a_disruption_budget_and_a_service_on_its_port(service: str) -> None:
    found = manifests(f"{service}.yaml")
    labels = {"app.kubernetes.io/name": service}
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["Service"]["spec"]["ports"][0]["port"] == PORTS[service]


@every_service
def test_a_deployment_holds_no_secret_in_the_clear(service: str) -> None:
    (container,) = pod(f"{service}.yaml", "Deployment")["containers"]
    clear = {variable["name"] for variable in container["env"] if "value" in variable}
    assert clear == {f"{package_of(service).upper()}_HOST"}


def test_migrations_run_as_a_job_without_root() -> None:
    spec = pod("migrate.yaml", "Job")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_kustomize_takes_every_manifest() -> None:
    listed = set(yaml.safe_load((ROOT / "deploy/k8s/kustomization.yaml").read_text())["resources"])
    present = {path.name for path in Path(ROOT / "deploy/k8s").glob("*.yaml")} - {"kustomization.yaml"}
    assert listed == present


# Prometheus and Grafana


def test_prometheus_scrapes_each_service_under_its_own_name() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert targets == {service: [f"{service}:{PORTS[service]}"] for service in SERVICES}


def test_grafanas_datasource_is_the_one_that_the_dashboards_name() -> None:
    file = ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml"
    uid = yaml.safe_load(file.read_text())["datasources"][0]["uid"]
    board = (ROOT / "deploy/grafana/dashboards/speed-to-lead.json").read_text()
    assert set(re.findall(r'"uid": "(leadrail-prometheus[^"]*)"', board)) == {uid}
