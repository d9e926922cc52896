"""Commands before there is any data: a new project, and what editors need to know of its files. Heavy imports happen inside."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sdg_core.cli.app import reports_errors


class FileKind(StrEnum):
    """The kinds of file that the command takes."""

    DATASET = "dataset"
    PIPELINE = "pipeline"


class Template(StrEnum):
    """What a new project starts with."""

    SUPPORT = "support"
    QA = "qa"
    PIPELINE = "pipeline"
    BLANK = "blank"


@reports_errors
def init(
    name: Annotated[
        Path,
        typer.Argument(
            metavar="NAME",
            help="The folder to create; the project is named after it.",
            show_default=False,
        ),
    ],
    template: Annotated[
        Template,
        typer.Option(
            help="Starting point: support (tickets and answers), qa (questions about your own texts), "
            "pipeline (questions about documents), blank (one column of each kind)."
        ),
    ] = Template.SUPPORT,
) -> None:
    """Create a Dagster project with a dataset that runs as is, without an API key or a model server."""
    from sdg_core import api

    project = api.make_project(name, template=template.value)
    file = project.file.relative_to(project.folder)
    typer.echo(f"Created {project.folder}. Next:\n")
    if project.folder != Path.cwd():
        typer.echo(f"  cd {name}")
    typer.echo(
        f"  sdg preview {file} -n 2\n  sdg generate {file}\n  DAGSTER_HOME=$PWD dagster dev\n"
    )
    typer.echo(
        "See README.md for details. Replies are simulated until the file names a model server."
    )


@reports_errors
def schema(
    kind: Annotated[
        FileKind | None,
        typer.Argument(
            metavar="KIND",
            help="dataset or pipeline. Default: one schema for both.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of dataset and pipeline files, which editors use to complete, document and validate
    keys."""
    from sdg_core import api
    from sdg_core.cli.output import print_json

    print_json(api.json_schema(kind.value if kind is not None else None))
