"""Every environment variable that this project reads under a name of its own choice, once: the docs page is made from this table.

Variables that a dataset file names (`api_key`, `endpoint_env`, `url_env`, ...) and those of libraries (Dagster, Ray, S3) are not
here.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EnvironmentVariable:
    """A variable and what it means. default: what holds where it is not set."""

    name: str
    meaning: str
    default: str


ROOT = EnvironmentVariable(
    "SDG_ROOT",
    "The storage root: a directory or the URL of a bucket. `--root` comes first.",
    "`data` in the project of the file",
)
LEDGER_URL = EnvironmentVariable(
    "SDG_LEDGER_URL",
    "The database of claims, paid cells and history, as a SQLAlchemy URL; Postgres where several machines work on one root.",
    "SQLite below the root",
)
ALLOW_VARIABLES = EnvironmentVariable(
    "SDG_ALLOW_VARIABLES",
    "Which variables a file may send where, as `NAME=host` pairs separated by spaces.",
    "keys of known providers, to their own hosts",
)
ALLOW_IMAGE_HOSTS = EnvironmentVariable(
    "SDG_ALLOW_IMAGE_HOSTS",
    "Hosts, separated by spaces, from which images that a server returns as URLs may be fetched.",
    "the host of the server itself",
)
ALLOW_PICTURE_HOSTS = EnvironmentVariable(
    "SDG_ALLOW_PICTURE_HOSTS",
    "The former name of `SDG_ALLOW_IMAGE_HOSTS`, read as well.",
    "none",
)
TEST_KILL_AT = EnvironmentVariable(
    "SDG_TEST_KILL_AT",
    "For tests: the failpoint, as `name` or `name:n`, at which the process kills itself.",
    "none",
)
TEST_STOP_AT = EnvironmentVariable(
    "SDG_TEST_STOP_AT",
    "For tests: the same, but the process is stopped (SIGSTOP) instead.",
    "none",
)
CELERY_BROKER = EnvironmentVariable(
    "SDG_CELERY_BROKER",
    "The broker of the Celery deployment (`deploy/celery`).",
    "must be set there",
)
CELERY_BACKEND = EnvironmentVariable(
    "SDG_CELERY_BACKEND",
    "The result backend of the Celery deployment.",
    "must be set there",
)

ENVIRONMENT_VARIABLES: Sequence[EnvironmentVariable] = (
    ROOT,
    LEDGER_URL,
    ALLOW_VARIABLES,
    ALLOW_IMAGE_HOSTS,
    ALLOW_PICTURE_HOSTS,
    CELERY_BROKER,
    CELERY_BACKEND,
    TEST_KILL_AT,
    TEST_STOP_AT,
)


def markdown_table() -> str:
    """The table as the docs page shows it."""
    lines = ["| variable | meaning | default |", "|---|---|---|"]
    lines += [
        f"| `{one.name}` | {one.meaning} | {one.default} |"
        for one in ENVIRONMENT_VARIABLES
    ]
    return "\n".join(lines)
