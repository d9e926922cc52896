"""deploy/kubernetes: manifests against the published schemas of Kubernetes' API, the launcher's part of the values through the
launcher's own code, and variables and exit statuses against those of the command. `test_kubernetes_chart.py` has the values,
`tests/assets/test_image.py` the image and the commands in it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core.cli.app import FAILED_RECORDS, INTERRUPTED, REFUSED
from sdg_core.plan.variables import is_credential
from tests.support.requirements import require_module
from tests.support.sdg import PROJECT

DEPLOY = PROJECT / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.33", "1.37")
"""Of Kubernetes; 1.29 is the first with an own backoff limit for each index."""


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def validate(manifest: dict[str, Any], version: str = VERSIONS[-1]) -> None:
    require_module("kubernetes_validate")
    import kubernetes_validate

    kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["generate-job.yaml", "secret.example.yaml"])
def test_manifests_satisfy_the_published_schemas(name: str, version: str) -> None:
    validate(read(name), version)


def test_the_schemas_are_really_asked() -> None:
    wrong = read("generate-job.yaml")
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 120
    with pytest.raises(Exception, match="terminationGracePeriod"):
        validate(wrong)


def job() -> tuple[dict[str, Any], dict[str, Any]]:
    """The spec of the job, and its container."""
    spec = read("generate-job.yaml")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    return spec, container


def test_what_the_job_takes_for_final_is_what_the_command_means() -> None:
    spec, container = job()
    final, disrupted = spec["podFailurePolicy"]["rules"]
    assert (
        final["action"] == "FailIndex"
        and final["onExitCodes"]["containerName"] == container["name"]
    )
    assert final["onExitCodes"]["values"] == sorted((FAILED_RECORDS, REFUSED))
    assert INTERRUPTED not in final["onExitCodes"]["values"], (
        "an interrupted slice is started again"
    )
    assert disrupted["action"] == "Ignore"
    assert spec["template"]["spec"]["restartPolicy"] == "Never", (
        "which a failure policy demands"
    )
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 60


def test_secrets_are_in_the_secret_and_nowhere_else() -> None:
    secret = read("secret.example.yaml")
    _, container = job()
    names = {entry["secretRef"]["name"] for entry in container["envFrom"]}
    (deployment,) = read("values.yaml")["dagster-user-deployments"]["deployments"]
    assert (
        names
        == {entry["name"] for entry in deployment["envSecrets"]}
        == {secret["metadata"]["name"]}
    )
    assert all(
        is_credential(name) or name == "AWS_REGION" for name in secret["stringData"]
    )
    plain = {entry["name"] for entry in (*container["env"], *deployment["env"])}
    assert not any(map(is_credential, plain))


@pytest.mark.filterwarnings("ignore")
def test_the_launcher_makes_pods_of_the_values_that_kubernetes_takes() -> None:
    require_module("dagster_k8s")
    from dagster._config import process_config, resolve_to_config_type
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.job import (
        DagsterK8sJobConfig,
        UserDefinedDagsterK8sConfig,
        construct_dagster_k8s_job,
    )

    values = read("values.yaml")
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    instance = {  # as the chart's templates write it into dagster.yaml
        "service_account_name": "dagster",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "dagster-instance",
        "image_pull_policy": given["imagePullPolicy"],
        "env_secrets": [entry["name"] for entry in deployment["envSecrets"]],
        "env_vars": [
            f"{entry['name']}={entry['value']}" for entry in deployment["env"]
        ],
        "run_k8s_config": {
            _snake(name): value for name, value in given["runK8sConfig"].items()
        },
    }
    checked = process_config(
        resolve_to_config_type(K8sRunLauncher.config_type()), instance
    )
    assert checked.success, checked.errors
    own = UserDefinedDagsterK8sConfig.from_dict(instance["run_k8s_config"])
    image = f"{deployment['image']['repository']}:{deployment['image']['tag']}"
    config = DagsterK8sJobConfig(
        job_image=image,
        dagster_home=instance["dagster_home"],
        instance_config_map=instance["instance_config_map"],
        postgres_password_secret=instance["postgres_password_secret"],
        env_secrets=instance["env_secrets"],
        env_vars=instance["env_vars"],
    )
    made = construct_dagster_k8s_job(
        config, ["dagster", "api", "execute_run"], "run-1", user_defined_k8s_config=own
    )
    from kubernetes.client import ApiClient

    manifest = ApiClient().sanitize_for_serialization(made)
    validate(manifest)
    pod = manifest["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 120
    (container,) = pod["containers"]
    assert container["image"] == image == job()[1]["image"]
    assert container["resources"] == job()[1]["resources"]
    assert {"name": "SDG_ROOT", "value": "s3://synthetic-data/sdg"} in container["env"]
    assert {"secretRef": {"name": "sdg"}} in container["envFrom"]


def test_dagster_takes_what_the_chart_makes_of_the_values(tmp_path: Path) -> None:
    """The chart writes these parts of the values into dagster.yaml under the names that Dagster has for them."""
    daemon = read("values.yaml")["dagsterDaemon"]
    runs = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    monitoring = {
        _snake(name): value for name, value in daemon["runMonitoring"].items()
    }
    instance = {
        "run_monitoring": monitoring,
        "concurrency": {"runs": {_snake(name): runs[name] for name in runs}},
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
    from dagster._core.instance.config import dagster_instance_config

    config, _ = dagster_instance_config(str(tmp_path))
    assert config["run_monitoring"]["max_resume_run_attempts"] == 0
    assert config["concurrency"]["runs"]["max_concurrent_runs"] == 8


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)
