"""The `sdg` command. Heavy imports happen inside the commands, so that `sdg --help` answers at once.

Exit status: 0 done; 1 done, but records failed; 2 wrong input or refused; 3 interrupted, resumable.
"""

import functools
import signal
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="sdg",
    help="Make synthetic datasets that survive interruption. A dataset is a YAML file of columns; its records are made in row "
    "groups, and running a command again goes on where it stopped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit status: 0 done; 1 done, but records failed; 2 wrong input or refused; 3 interrupted, run again to go on.",
)

FAILED_RECORDS, REFUSED, INTERRUPTED, BUG = 1, 2, 3, 70
_debug = False

File = Annotated[Path, typer.Argument(metavar="FILE", help="The dataset file (YAML or JSON).", show_default=False)]
Root = Annotated[
    str | None,
    typer.Option(help="Storage root. Default: SDG_ROOT, else `data` in the working directory.", show_default=False),
]
NumRecords = Annotated[
    int | None,
    typer.Option(help="Number of records; may grow from run to run. Default: the file's.", show_default=False),
]


class Resume(StrEnum):
    """How a run treats data that exists."""

    IF_POSSIBLE = "if_possible"
    ALWAYS = "always"
    NEVER = "never"


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Show errors of ours as one readable block on stderr, and turn every ending into its exit status."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from sdg_core.errors import SdgError

        try:
            command(*args, **kwargs)
        except SdgError as error:
            raise _ended(f"error: {error}", REFUSED) from None
        except KeyboardInterrupt:
            raise _ended(
                "interrupted; finished records are saved, run the same command to go on", INTERRUPTED
            ) from None
        except (typer.Exit, BrokenPipeError):  # nobody reads on, as in `sdg status FILE | head -1`
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of the process: a bug is reported, not shown as a traceback
            message = (
                f"internal error: {type(error).__name__}: {error}\n  -> please report it, with the output of --debug"
            )
            raise _ended(message, BUG) from None

    return wrapped


def _ended(message: str, status: int) -> typer.Exit:
    if _debug:
        traceback.print_exc()
    typer.echo(message, err=True)
    return typer.Exit(status)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sdg {version('sdg-dagster')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command; `--debug` is taken out by `main`, so that it may stand anywhere."""


@app.command()
@reports_errors
def validate(file: File, root: Root = None, num_records: NumRecords = None) -> None:
    """Check a dataset file and its seed data, and show what would be made. Asks no model, writes nothing."""
    from sdg_core import api
    from sdg_core.cli import show

    dataset = api.open_dataset(file, root=root, num_records=num_records)
    show.plan(dataset, acceptances=api.measure_constraints(dataset))


@app.command()
@reports_errors
def preview(
    file: File,
    num_records: Annotated[int, typer.Option("-n", "--num-records", min=1, help="How many records.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of records.")] = False,
    root: Root = None,
) -> None:
    """Make the first few records in memory and show them. Asks models for these records; writes nothing."""
    from sdg_core import api
    from sdg_core.cli import show

    result = api.preview(file, num_records=num_records, root=root)
    show.preview(result, as_json=as_json)
    if result.failures:
        raise typer.Exit(FAILED_RECORDS)


@app.command()
@reports_errors
def estimate(
    file: File,
    sample: Annotated[int, typer.Option("-n", "--sample", min=1, help="How many records to try.")] = 5,
    root: Root = None,
    num_records: NumRecords = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Say what the lacking records will take: requests, tokens, cost, time. Asks models for a few of them; writes nothing."""
    from sdg_core import api
    from sdg_core.cli import show

    result = api.estimate(api.open_dataset(file, root=root, num_records=num_records), sample=sample)
    show.estimate(result, as_json=as_json)
    if result.failed:
        raise typer.Exit(FAILED_RECORDS)


@app.command()
@reports_errors
def generate(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    row_groups: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Only these row groups, as in 0-9,12. Default: all.", show_default=False),
    ] = None,
    resume: Annotated[
        Resume | None,
        typer.Option(
            help="if_possible: go on, or start a new version if the config changed. always: refuse a changed config. "
            "never: start a new version. Default: the file's run.resume.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make the records that are lacking. Complete row groups are left as they are; nothing is made twice."""
    from sdg_core import api
    from sdg_core.cli import show
    from sdg_core.cli.progress import watching
    from sdg_core.plan.row_groups import parse_row_groups

    dataset = api.open_dataset(file, root=root, num_records=num_records)
    chosen = parse_row_groups(row_groups, len(dataset.plan.row_groups)) if row_groups is not None else None
    with watching(dataset.name) as on_event:
        summary = api.generate(
            dataset, row_groups=chosen, resume=resume.value if resume is not None else None, on_event=on_event
        )
    show.run_summary(summary)
    if summary.lacking:
        raise typer.Exit(FAILED_RECORDS)


@app.command()
@reports_errors
def status(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Show what is on disk: row groups by state, records, failures, usage, and whether the dataset is sealed."""
    from sdg_core import api
    from sdg_core.cli import show

    show.status(api.status(api.open_dataset(file, root=root, num_records=num_records)), as_json=as_json)


@app.command("check-models")
@reports_errors
def check_models(
    file: File,
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Ask each model once: does it answer, how fast, does it keep to a schema. A few tokens each; writes nothing."""
    from sdg_core import api
    from sdg_core.cli import show

    rows = api.check_models(api.open_dataset(file, root=root))
    show.model_health(rows, as_json=as_json)
    if not all(row.ok for row in rows):
        raise typer.Exit(REFUSED)


@app.command()
@reports_errors
def process(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out records that failed for good.")
    ] = False,
) -> None:
    """Write the finished dataset from complete row groups, and seal: no further generation into this version."""
    from sdg_core import api
    from sdg_core.cli import show

    dataset = api.open_dataset(file, root=root, num_records=num_records)
    show.processed(api.process(dataset, allow_missing=allow_missing))


@app.command()
@reports_errors
def reopen(file: File, root: Root = None, num_records: NumRecords = None) -> None:
    """Remove the seal and the processed output. Row groups stay; generation is possible again."""
    from sdg_core import api

    dataset = api.open_dataset(file, root=root, num_records=num_records)
    if api.reopen(dataset):
        typer.echo(f"{dataset.name}: reopened; the processed output is removed, row groups are kept")
    else:
        typer.echo(f"{dataset.name}: was not sealed; nothing to do")


@app.command("import")
@reports_errors
def import_(
    file: Annotated[Path, typer.Argument(metavar="BUILDER_CONFIG", help="A config written by NeMo Data Designer.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write. Default: print it.", show_default=False)
    ] = None,
) -> None:
    """Turn a builder config of NeMo Data Designer into a dataset file, and say which of its keys mean nothing here."""
    from sdg_core import api
    from sdg_core.errors import RefusedError
    from sdg_core.store.atomic import write_atomic

    imported = api.import_builder_config(file)
    for key in imported.ignored:
        typer.echo(f"ignored: {key}", err=True)
    if output is None:
        typer.echo(imported.text, nl=False)
    elif output.exists():
        raise RefusedError(f"{output} exists", remedy="name another file; nothing was written")
    else:
        write_atomic(output.absolute(), imported.text.encode())
        typer.echo(f"written to {output}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """The entry point of the `sdg` command."""
    global _debug
    signal.signal(signal.SIGTERM, _interrupt)
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    _debug = len(arguments) < len(sys.argv) - 1
    app(args=arguments, prog_name="sdg")


if __name__ == "__main__":
    main()
