"""deploy/kubernetes/values.yaml against what Dagster's chart takes: names and types, as helm/dagster/schema has them.

Stricter than the chart, which passes over names that it does not know in some places: a setting that is not one is a mistake.
Only what the values use is described. What is handed on to Kubernetes as it is, is held against its schemas in
`test_kubernetes.py`.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.support.sdg import PROJECT

TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
COUNT = {"type": "integer"}
TEXTS = {"type": "array", "items": TEXT}
NAMES = {"type": "object", "additionalProperties": TEXT}
KUBERNETES: dict[str, Any] = {"type": "object"}
"""An object of Kubernetes' own."""
POLICY = {"enum": ["Always", "IfNotPresent", "Never"]}


def known(required: str = "", **values: Any) -> dict[str, Any]:
    """An object with these values and no others."""
    return {
        "type": "object",
        "properties": values,
        "required": required.split(),
        "additionalProperties": False,
    }


def many(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


IMAGE = known(
    "repository tag pullPolicy",
    repository=TEXT,
    tag={"type": ["string", "integer"]},
    pullPolicy=POLICY,
)
SECRETS = many(known("name", name=TEXT, optional=FLAG))
VARIABLES = {
    "anyOf": [NAMES, many(known("name", name=TEXT, value=TEXT, valueFrom=KUBERNETES))]
}
INT_SOURCE = {"anyOf": [COUNT, known("env", env=TEXT)]}
DEPLOYMENT = known(
    "name image port",
    name=TEXT,
    image=IMAGE,
    port=COUNT,
    dagsterApiGrpcArgs=TEXTS,
    codeServerArgs=TEXTS,
    includeConfigInLaunchedRuns=known("enabled", enabled=FLAG),
    env=VARIABLES,
    envConfigMaps=SECRETS,
    envSecrets=SECRETS,
    resources=KUBERNETES,
    labels=NAMES,
    nodeSelector=NAMES,
    volumes=many(KUBERNETES),
    volumeMounts=many(KUBERNETES),
)
LAUNCHER = known(
    image=IMAGE,
    imagePullPolicy=POLICY,
    jobNamespace=TEXT,
    loadInclusterConfig=FLAG,
    envConfigMaps=SECRETS,
    envSecrets=SECRETS,
    envVars=TEXTS,
    labels=NAMES,
    failPodOnRunFailure=FLAG,
    resources=KUBERNETES,
    runK8sConfig=known(
        containerConfig=KUBERNETES,
        podSpecConfig=KUBERNETES,
        podTemplateSpecMetadata=KUBERNETES,
        jobSpecConfig=KUBERNETES,
        jobMetadata=KUBERNETES,
    ),
)
QUEUE = known(
    maxConcurrentRuns=INT_SOURCE,
    dequeueIntervalSeconds=INT_SOURCE,
    dequeueNumWorkers=INT_SOURCE,
    dequeueUseThreads=FLAG,
    tagConcurrencyLimits=many(KUBERNETES),
)
MONITORING = known(
    enabled=FLAG,
    startTimeoutSeconds=COUNT,
    cancelTimeoutSeconds=COUNT,
    maxResumeRunAttempts=COUNT,
    pollIntervalSeconds=COUNT,
    freeSlotsAfterRunEndSeconds=COUNT,
)
"""The schema takes anything here; these are what the chart's template writes into dagster.yaml."""
CHART = known(
    **{
        "global": known(
            postgresqlSecretName=TEXT, dagsterHome=TEXT, serviceAccountName=TEXT
        ),
        "generatePostgresqlPasswordSecret": FLAG,
        "postgresql": known(
            enabled=FLAG,
            postgresqlScheme=TEXT,
            postgresqlHost=TEXT,
            postgresqlUsername=TEXT,
            postgresqlPassword=TEXT,
            postgresqlDatabase=TEXT,
            postgresqlParams={"type": "object"},
            service=known("port", port=COUNT),
        ),
        "dagster-user-deployments": known(
            enabled=FLAG,
            enableSubchart=FLAG,
            imagePullSecrets=SECRETS,
            deployments=many(DEPLOYMENT),
        ),
        "runLauncher": known(
            "type",
            type={"const": "K8sRunLauncher"},
            config=known(k8sRunLauncher=LAUNCHER),
        ),
        "dagsterDaemon": known(
            enabled=FLAG,
            runCoordinator=known(
                "type",
                enabled=FLAG,
                type={"const": "QueuedRunCoordinator"},
                config=known(queuedRunCoordinator=QUEUE),
            ),
            runMonitoring=MONITORING,
        ),
        "telemetry": known(enabled=FLAG),
    }
)
VALUES = yaml.safe_load(
    (PROJECT / "deploy" / "kubernetes" / "values.yaml").read_text(encoding="utf-8")
)


def faults(values: Any) -> list[str]:
    return [
        error.message
        for error in jsonschema_rs.validator_for(CHART).iter_errors(values)
    ]


def test_the_values_are_such_as_the_chart_takes() -> None:
    assert faults(VALUES) == []


Path = tuple[str | int, ...]


def parts(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value and where it is, without what is Kubernetes' own."""
    yield path, value
    if path[-1:] in {("containerConfig",), ("podSpecConfig",), ("jobSpecConfig",)}:
        return
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = [*value.items()]
    if isinstance(value, list):
        children = [*enumerate(value)]
    for name, child in children:
        yield from parts(child, (*path, name))


def at(values: Any, path: Path) -> Any:
    for name in path:
        values = values[name]
    return values


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, value in parts(VALUES)
        if isinstance(value, dict) and "Config" not in str(path[-1:])
    ],
    ids=str,
)
def test_a_name_that_the_chart_does_not_have_is_found(path: Path) -> None:
    wrong = copy.deepcopy(VALUES)
    at(wrong, path)["maxConcurentRuns"] = 8
    assert faults(wrong), path


@pytest.mark.parametrize("path", [path for path, _ in parts(VALUES) if path], ids=str)
def test_a_value_of_another_type_is_found(path: Path) -> None:
    wrong = copy.deepcopy(VALUES)
    at(wrong, path[:-1])[path[-1]] = 1.5
    assert faults(wrong), path
