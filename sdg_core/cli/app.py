"""The frame of the `sdg` command: its options, its exit status, and how errors are shown.

Exit status: 0 done; 1 done, but records failed; 2 wrong input or refused; 3 interrupted or a budget reached, resumable.
"""

import functools
import io
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.models import CommandInfo

from sdg_core.api import RUN_SETTINGS, ExecutorChoice, ResumeChoice, WhenClaimedChoice
from sdg_core.cli.command_group import CommandGroup

app = typer.Typer(
    name="sdg",
    cls=CommandGroup,
    help="Generate synthetic datasets that survive interruption. A dataset is a YAML file of columns; its records are "
    "generated in row groups, and rerunning a command resumes where it stopped.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit status: 0 done; 1 done, but some records failed; 2 invalid input or refused; 3 "
    "interrupted, rerun to resume.",
)

FAILED_RECORDS = 1
REFUSED = 2
INTERRUPTED = 3
BUG = 70
_debug = False
_untrusted = False
_json = False

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The dataset file (YAML or JSON).", show_default=False
    ),
]
Root = Annotated[
    str | None,
    typer.Option(
        help="Storage root. Default: SDG_ROOT, else `data` in the project of FILE.",
        show_default=False,
    ),
]
NumRecords = Annotated[
    int | None,
    typer.Option(
        help="Number of records; may increase from run to run. Default: the file's.",
        show_default=False,
    ),
]


def _run_setting(name: str, **more: Any) -> Any:
    """An option that replaces a run setting of the file for one run."""
    setting = RUN_SETTINGS[name]
    scope = f"Of a {setting.only_for}: " if setting.only_for is not None else ""
    text = f"{scope}{setting.text} Default: the file's run.{name}."
    return typer.Option(
        setting.option, min=setting.at_least, help=text, show_default=False, **more
    )


ResumeOption = Annotated[ResumeChoice | None, _run_setting("resume")]
WhenClaimedOption = Annotated[WhenClaimedChoice | None, _run_setting("when_claimed")]
MaxParallelRequestsOption = Annotated[
    int | None, _run_setting("max_parallel_requests", metavar="N")
]
ExecutorOption = Annotated[ExecutorChoice | None, _run_setting("executor")]
RowGroups = Annotated[
    str | None,
    typer.Option(
        "--row-groups",
        metavar="LIST",
        help="Only these row groups, for example 0-9,12. Default: all.",
        show_default=False,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Only slice I of N, counted from 0, for example 3/8: every N-th row group (of "
        "--row-groups, if given) or pipeline partition. Slices can run in parallel on any machine; "
        "together they cover everything. Default: all.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Show errors of ours as one readable block on stderr, and turn every ending into its exit status."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from sdg_core.errors import BudgetReachedError, SdgError

        try:
            command(*args, **kwargs)
        except BudgetReachedError as error:
            raise _ended(str(error), INTERRUPTED) from None
        except SdgError as error:
            raise _ended(f"error: {error}", REFUSED, error) from None
        except KeyboardInterrupt:
            message = "interrupted; finished records are saved, rerun the same command to resume"
            raise _ended(message, INTERRUPTED) from None
        except (typer.Exit, BrokenPipeError):
            # nobody reads on, as in `sdg status FILE | head -1`
            raise
        except MemoryError:
            message = "error: out of memory; finished work is saved"
            raise _ended(
                f"{message}\n  -> lower row_group_size, or give the process more memory",
                REFUSED,
            ) from None
        except Exception as error:  # noqa: BLE001 - the boundary of the process: a bug is reported, not shown as a traceback
            message = f"internal error: {type(error).__name__}: {error}\n  -> please report it, with the output of --debug"
            raise _ended(message, BUG) from None
        except BaseException as error:
            if (
                type(error).__name__ != "PanicException"
            ):  # of a library in Rust, which is no Exception
                raise
            message = f"internal error: a library failed: {error}\n  -> please report it, with the output of --debug"
            raise _ended(message, BUG) from None

    return wrapped


def _ended(message: str, status: int, error: Exception | None = None) -> typer.Exit:
    from sdg_core.cli.output import print_json, say

    if _debug:
        say(traceback.format_exc().rstrip(), err=True)
    say(message, err=True)
    if _json:
        print_json(_described(message, status, error))
    return typer.Exit(status)


def _described(message: str, status: int, error: Exception | None) -> dict[str, Any]:
    """An ending as a program reads it on stdout, where `--json` promises it an answer."""
    problems = [vars(problem) for problem in getattr(error, "problems", ())]
    if error is not None:
        kind = type(error).__name__
    elif status == INTERRUPTED:
        kind = "Interrupted"
    else:
        kind = "InternalError"
    found: dict[str, Any] = {
        "type": kind,
        "message": getattr(error, "message", message),
        "remedy": getattr(error, "remedy", None),
    }
    if problems:
        found["problems"] = problems
    return {"error": found, "exit_status": status}


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sdg {version('sdg-dagster')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    untrusted: Annotated[
        bool,
        typer.Option(
            "--untrusted",
            help="Refuse a file that runs code, starts a process, sends an environment variable, or "
            "reads data outside its project.",
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            callback=_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Options of every command; `--debug` and `--untrusted` are taken out by `run`, so that they may stand anywhere."""


def is_untrusted() -> bool:
    """Whether the command line says `--untrusted`."""
    return _untrusted


def _invoked(arguments: list[str], commands: list[CommandInfo]) -> list[CommandInfo]:
    """The command that comes first, for which alone typer then reads its options; all of them if none does."""
    name = arguments[0] if arguments else ""
    return [command for command in commands if command.name == name] or commands


def run(arguments: list[str]) -> None:
    """Carry out a command line."""
    global _debug, _untrusted, _json
    plain = [
        argument for argument in arguments if argument not in ("--debug", "--untrusted")
    ]
    _debug = "--debug" in arguments
    _untrusted = "--untrusted" in arguments
    _json = "--json" in arguments
    every_command = app.registered_commands
    app.registered_commands = _invoked(plain, every_command)
    try:
        status = app(args=plain, prog_name="sdg", standalone_mode=False)
    except typer.Abort:
        typer.echo("Aborted!", err=True)
        sys.exit(FAILED_RECORDS)
    except Exception as error:
        # only errors of the command line have one
        if not hasattr(error, "format_message"):
            raise
        from sdg_core.cli.output import print_json, say

        shown = io.StringIO()
        error.show(file=shown)  # type: ignore[attr-defined]
        say(shown.getvalue().rstrip("\n"), err=True)
        if _json:
            message = error.format_message()
            print_json(
                {
                    "error": {"type": "UsageError", "message": message, "remedy": None},
                    "exit_status": REFUSED,
                }
            )
        sys.exit(REFUSED)
    finally:
        app.registered_commands = every_command
    sys.exit(status if isinstance(status, int) else 0)
