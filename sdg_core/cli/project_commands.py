"""Commands around dataset files: what editors need to know of them. Heavy imports happen inside."""

from enum import StrEnum
from typing import Annotated

import typer

from sdg_core.cli.app import reports_errors


class FileKind(StrEnum):
    """The kinds of file that the command takes."""

    DATASET = "dataset"
    PIPELINE = "pipeline"


@reports_errors
def schema(
    kind: Annotated[
        FileKind | None,
        typer.Argument(metavar="KIND", help="dataset or pipeline. Default: both in one.", show_default=False),
    ] = None,
) -> None:
    """Print the JSON Schema of dataset and pipeline files, for editors: they complete keys, explain them and mark mistakes."""
    from sdg_core import api
    from sdg_core.cli.output import print_json

    print_json(api.json_schema(kind.value if kind is not None else None))
