"""What the commands do where FILE is a pipeline, and `retry`, which only pipelines have."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdg_core.api import ResumeMode, resume_mode
from sdg_core.cli.app import (
    FAILED_RECORDS,
    REFUSED,
    AsJson,
    File,
    ResumeOption,
    Root,
    reports_errors,
)

if TYPE_CHECKING:
    from sdg_core import api
    from sdg_core.api import pipelines


@reports_errors
def retry(
    file: File,
    root: Root = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="LOCATOR",
            help="Only this source (repeatable). Default: all.",
        ),
    ] = None,
    resume: ResumeOption = None,
    as_json: AsJson = False,
) -> None:
    """Retry sources of a pipeline that were given up after too many attempts. Completed work is kept."""
    from sdg_core.errors import RefusedError

    if not is_pipeline(file):
        raise RefusedError(
            f"{file} is a dataset; every run retries its failed records",
            remedy="use `sdg generate`",
        )
    generate(
        file,
        root=root,
        resume=resume_mode(resume),
        retry=True,
        sources=source,
        as_json=as_json,
    )


def is_pipeline(file: Path) -> bool:
    """Whether FILE says `kind: pipeline`."""
    from sdg_core import api

    return api.is_pipeline(file)


def refuse(file: Path, **options: object) -> None:
    """Raise PlanError for options that only datasets have."""
    from sdg_core.errors import PlanError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise PlanError(
            f"{', '.join(given)}: {file} is a pipeline; its sources determine the number of records",
            remedy="omit the option",
        )


def look_at_either(
    file: Path, *, root: str | None, num_records: int | None = None
) -> "api.Dataset | pipelines.OpenPipeline":
    """FILE, whichever it is, of which no code is run. Raises PlanError for `--num-records` of a pipeline."""
    from sdg_core.cli.trust import look_at, look_at_pipeline

    if not is_pipeline(file):
        return look_at(file, root=root, num_records=num_records)
    refuse(file, **{"--num-records": num_records})
    return look_at_pipeline(file, root=root)


def refuse_for_dataset(file: Path, option: str) -> None:
    """Raise PlanError for an option that only pipelines have."""
    from sdg_core.errors import PlanError

    raise PlanError(
        f"{option}: {file} is a dataset; only pipelines have stages to run elsewhere",
        remedy="omit the option",
    )


def estimate(
    file: Path, *, sample: int | None, root: str | None, as_json: bool
) -> None:
    """`sdg estimate`."""
    from sdg_core.api import pipelines
    from sdg_core.cli import show_estimate
    from sdg_core.cli.trust import ask_before_running

    ask_before_running(file, root=root)
    chosen = {"sample": sample} if sample is not None else {}
    result = pipelines.estimate(pipelines.open_pipeline(file, root=root), **chosen)
    show_estimate.pipeline_estimate(result, as_json=as_json)
    if result.failed:
        raise typer.Exit(FAILED_RECORDS)


def opened(file: Path, root: str | None) -> "api.Dataset":
    """A pipeline as what it has in common with a dataset: its models and tools."""
    from sdg_core.api import pipelines

    return pipelines.open_pipeline(file, root=root).as_dataset()


def validate(file: Path, *, root: str | None, as_json: bool = False) -> None:
    """`sdg validate`."""
    from sdg_core.cli import show_pipeline
    from sdg_core.cli.trust import look_at_pipeline

    show_pipeline.validated(look_at_pipeline(file, root=root), as_json=as_json)


def preview(
    file: Path, *, num_records: int, as_json: bool, full: bool, root: str | None
) -> None:
    """`sdg preview`."""
    from sdg_core.api import pipelines
    from sdg_core.cli import show_pipeline
    from sdg_core.cli.trust import ask_before_running

    ask_before_running(file, root=root)
    result = pipelines.preview(file, num_records=num_records, root=root)
    show_pipeline.preview(result, as_json=as_json, full=full)
    if result.failures:
        raise typer.Exit(FAILED_RECORDS)


def generate(
    file: Path,
    *,
    root: str | None,
    resume: ResumeMode | None = None,
    retry: bool = False,
    sources: list[str] | None = None,
    shard: str | None = None,
    settings: Mapping[str, object] | None = None,
    as_json: bool = False,
) -> None:
    """`sdg generate` and `sdg retry`."""
    from sdg_core.api import Shard, pipelines
    from sdg_core.cli import show_pipeline
    from sdg_core.cli.options import named_again
    from sdg_core.cli.progress import watching
    from sdg_core.cli.trust import ask_before_running

    ask_before_running(file, root=root)
    pipeline = pipelines.open_pipeline(file, root=root)
    pipeline = pipelines.with_settings(pipeline, **(settings or {}))
    part = Shard.parse(shard) if shard is not None else None
    with watching(pipeline.name) as on_event:
        result = pipelines.generate(
            pipeline,
            resume=resume,
            retry=retry,
            sources=sources,
            shard=part,
            on_event=on_event,
        )
    is_whole = sources is None and shard is None
    following = named_again(file, root) if is_whole else None
    show_pipeline.summary(result, following=following, as_json=as_json)
    if result.remaining:
        raise typer.Exit(FAILED_RECORDS)


def status(file: Path, *, root: str | None, as_json: bool) -> None:
    """`sdg status`."""
    from sdg_core.api import pipelines
    from sdg_core.cli import show_pipeline
    from sdg_core.cli.trust import look_at_pipeline

    pipeline = look_at_pipeline(file, root=root)
    show_pipeline.status(pipelines.status(pipeline), as_json=as_json)


def plan(
    file: Path,
    *,
    root: str | None,
    resume: ResumeMode | None,
    shard: str | None,
    as_json: bool,
) -> None:
    """`sdg plan`."""
    from sdg_core.api import Shard, pipelines
    from sdg_core.cli import show_pipeline
    from sdg_core.cli.trust import look_at_pipeline

    pipeline = look_at_pipeline(file, root=root)
    part = Shard.parse(shard) if shard is not None else None
    found = pipelines.plan(pipeline, resume=resume, shard=part)
    show_pipeline.run_plan(found, as_json=as_json)
    if found.refused is not None:
        raise typer.Exit(REFUSED)
