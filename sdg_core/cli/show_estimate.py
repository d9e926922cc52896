"""What `sdg estimate` prints, of datasets and of pipelines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sdg_core.cli.output import print_json
from sdg_core.cli.show_money import estimate_costs, usage_lines
from sdg_core.cli.tables import stdout, two_columns
from sdg_core.counts import counted

if TYPE_CHECKING:
    from sdg_core.api import Estimate
    from sdg_core.api.pipelines import PipelineEstimate


def estimate(result: "Estimate", *, as_json: bool) -> None:
    """The outcome for a dataset."""
    failed = (
        f", {result.failed:,} of them failed ({result.first_failure})"
        if result.failed
        else ""
    )
    kept = "replies are kept for the run" if result.kept else "replies are not kept"
    expected = [
        ("judged by", f"{counted(result.sampled, 'record')}, {kept}{failed}"),
        *_used_and_paid(result),
    ]
    expected += _times(result, "at the measured rate, at full concurrency")
    _show(result, expected, unit="record", as_json=as_json)


def pipeline_estimate(result: "PipelineEstimate", *, as_json: bool) -> None:
    """The outcome for a pipeline."""
    failed = (
        f"; {result.failed:,} of them would fail ({result.first_failure})"
        if result.failed
        else ""
    )
    how = "run through the stages with simulated replies; no model requests were sent"
    expected = [("judged by", f"{counted(result.sampled, 'source')}, {how}{failed}")]
    for stage, count in result.tasks.items():
        expected.append(("tasks", f"{stage}: about {count:,}"))
    expected.append(("rows", f"about {result.rows:,}"))
    expected += _used_and_paid(result)
    rate = "at full concurrency"
    if result.speed_assumed:
        rate += f", assuming {result.assumed_speed}"
    expected += _times(result, rate)
    if result.measured:
        expected.append(
            (
                "replies",
                f"as long as those of {', '.join(result.measured)} in the files of this pipeline",
            )
        )
    _show(result, expected, unit="source", as_json=as_json)


def _show(
    result: "Estimate", expected: list[tuple[str, str]], *, unit: str, as_json: bool
) -> None:
    if as_json:
        return print_json(result.to_dict())
    console = stdout()
    if not result.remaining:
        return console.print(f"nothing to do: no {unit}s remain")
    table = two_columns()
    table.add_row("remaining", counted(result.remaining, unit))
    if result.reused:
        table.add_row(
            "reused",
            f"{counted(result.reused, 'cell')} already generated and not requested again",
        )
    if not result.sampled:
        expected = [
            ("expected", "no requests: every cell that costs money already exists")
        ]
    for name, line in expected:
        table.add_row(name, line)
    console.print(table)


def _used_and_paid(result: "Estimate") -> Iterator[tuple[str, str]]:
    for line in usage_lines(result.usage):
        yield "expected", line
    for column, count in result.skipped.items():
        yield "skipped", f"{column}: about {counted(count, 'cell', 'cost')} nothing"
    for line in estimate_costs(result):
        yield "cost", line
    if result.usage and not result.cost:
        yield "cost", "unknown: no model_configs entry has prices"


def _times(result: "Estimate", rate: str) -> Iterator[tuple[str, str]]:
    yield "time", f"{_duration(result.seconds)} {rate}"
    if result.simulated:
        yield (
            "simulated",
            "replies are simulated: tokens and time of real models will differ",
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
