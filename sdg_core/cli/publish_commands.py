"""Commands that hand a dataset on: a report for its readers, a file for other programs. Heavy imports happen inside."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sdg_core.cli import pipeline_commands as pipeline
from sdg_core.cli.app import AsJson, File, NumRecords, Root, reports_errors
from sdg_core.counts import counted


@reports_errors
def report(
    file: File,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the report to this file instead of report.html next to the data.",
            show_default=False,
        ),
    ] = None,
    root: Root = None,
    num_records: NumRecords = None,
    as_json: AsJson = False,
) -> None:
    """Write a one-page report: how the data was generated, what failed, columns and samples. For an unfinished
    dataset, it covers the rows generated so far."""
    from sdg_core import api
    from sdg_core.cli import show_report

    opened = pipeline.look_at_either(file, root=root, num_records=num_records)
    show_report.report(api.report(opened, output=output), as_json=as_json)


Output = Annotated[
    Path,
    typer.Argument(
        metavar="OUT",
        help="A .parquet, .jsonl or .csv file (or .jsonl.gz, ...).",
        show_default=False,
    ),
]
Partial = Annotated[
    bool,
    typer.Option(
        "--partial", help="Export an unfinished dataset: the rows generated so far."
    ),
]
ProcessorName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Export the output of this processor instead of the dataset.",
        show_default=False,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="LIST", help="Only these columns, for example a,b.", show_default=False
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="SHARES",
        help="Split into disjoint files for training and evaluation, for example 0.9/0.1 or 80/10/10: "
        "OUT-train, OUT-validation, OUT-test.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
DefuseFormulas = Annotated[
    bool,
    typer.Option(
        "--defuse-formulas",
        help="CSV only: prefix text that a spreadsheet would run as a formula with an apostrophe.",
    ),
]


@reports_errors
def export(
    file: File,
    output: Output,
    root: Root = None,
    num_records: NumRecords = None,
    partial: Partial = False,
    processor: ProcessorName = None,
    columns: Columns = None,
    split: Split = None,
    force: Force = False,
    defuse: DefuseFormulas = False,
    as_json: AsJson = False,
) -> None:
    """Export the finished dataset, or the output of a processor, to a file, or to one file per split."""
    from sdg_core import api
    from sdg_core.cli import show_results

    opened = pipeline.look_at_either(file, root=root, num_records=num_records)
    names = None
    if columns is not None:
        names = [name.strip() for name in columns.split(",")]
    shares = _shares(split) if split is not None else None
    exported = api.export(
        opened,
        output,
        partial=partial,
        overwrite=force,
        processor=processor,
        columns=names,
        split=shares,
        defuse_formulas=defuse,
    )
    if not exported.finished:
        extent = "so far"
        if isinstance(opened, api.Dataset):
            extent = f"for {counted(opened.plan.num_records, 'record')}"
        rows = counted(exported.num_rows, "row")
        typer.echo(f"{opened.name}: not finished: {rows} {extent}", err=True)
    show_results.exported(exported, as_json=as_json)


@reports_errors
def push(
    file: File,
    repo: Annotated[
        str,
        typer.Argument(
            metavar="REPO", help="Dataset repository: user/name.", show_default=False
        ),
    ],
    root: Root = None,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="Make a newly created repository public instead of private.",
        ),
    ] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="Hub URL, if not huggingface.co.",
            show_default=False,
        ),
    ] = None,
    token_env: Annotated[
        str | None,
        typer.Option(
            "--token-env",
            metavar="NAME",
            help="Environment variable with a token that has write access. Default for huggingface.co: HF_TOKEN.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Upload the finished dataset and its card to the Hugging Face Hub. Shows what it will upload and asks for
    confirmation."""
    from sdg_core import api
    from sdg_core.cli import show_push
    from sdg_core.cli.output import say

    default = "HF_TOKEN" if endpoint is None else None
    variable = token_env or default
    token = os.environ.get(variable) if variable is not None else None
    if token_env is not None and not token:
        raise api.HubError(
            f"the variable {token_env} is not set",
            remedy="set it to a token with write access",
        )
    address = api.push(
        pipeline.look_at_either(file, root=root),
        repo,
        confirm=lambda plan: show_push.confirmed(plan, private=not public, yes=yes),
        private=not public,
        endpoint=endpoint,
        token=token,
    )
    if address is None:
        say("nothing was uploaded")
    else:
        say(f"uploaded: {address}")


def _shares(text: str) -> list[float]:
    from sdg_core.errors import PlanError

    try:
        return [float(share) for share in text.split("/")]
    except ValueError:
        raise PlanError(
            f"--split is {text!r}", remedy="give two or three shares, as in 0.9/0.1"
        ) from None
