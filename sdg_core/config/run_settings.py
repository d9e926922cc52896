"""The run settings as data: what each is for, its default and its bounds, once.

The fields of `RunSettings` (and with them the JSON Schema), the options of `sdg generate`, Dagster's run config and the table of
the guide take their texts, defaults and bounds from here. A setting that one of them leaves out has the reason beside it. Nothing
heavy is imported: `sdg generate --help` shows these texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

ResumeMode = Literal["if_possible", "always", "never"]
WhenClaimed = Literal["wait", "refuse"]
Executor = Literal["local", "ray"]


class ResumeChoice(StrEnum):
    """The resume modes, for interfaces that offer a choice. Dagster uses the member names, so they are spelled as in
    a file."""

    if_possible = "if_possible"
    always = "always"
    never = "never"


def resume_mode(choice: ResumeChoice | None) -> ResumeMode | None:
    """The chosen mode as files and the engine spell it; None if none was chosen."""
    return choice.value if choice is not None else None


class WhenClaimedChoice(StrEnum):
    """The values of `when_claimed`, for interfaces that offer a choice."""

    wait = "wait"
    refuse = "refuse"


class ExecutorChoice(StrEnum):
    """The executors, for interfaces that offer a choice."""

    local = "local"
    ray = "ray"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetting:
    """One run setting.

    purpose: what it is for, in sentences. choices: its values, each with what it means. at_least, above, at_most: its bounds;
    `above` itself is not allowed. only_for: the kind of file that has a use for it; None: both. more: a link into the guide.
    no_option: why `sdg generate` has no option for it. not_in_launchpad: why Dagster's run config leaves it out.
    """

    name: str
    purpose: str
    default: str | int | float | None
    choices: Mapping[str, str] = field(default_factory=dict)
    at_least: int | None = None
    above: int | None = None
    at_most: int | None = None
    only_for: Literal["dataset", "pipeline"] | None = None
    more: str = ""
    no_option: str = ""
    not_in_launchpad: str = ""

    @property
    def option(self) -> str:
        """How the command line spells it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def text(self) -> str:
        """The purpose, followed by what each choice means."""
        meanings = [f"{value}: {meaning}." for value, meaning in self.choices.items()]
        return " ".join([self.purpose, *meanings])


_TUNED_IN_THE_FILE = "tuned per dataset and server, in the file"
_BUDGET_STANDS = "a budget applies to every run, so it is set in the file"

_SETTINGS = (
    RunSetting(
        name="resume",
        default="if_possible",
        purpose="How to treat existing data.",
        choices={
            "if_possible": "resume, or start a new version if the config changed",
            "always": "refuse a changed config",
            "never": "start a new version",
        },
        more="[Resume modes](resume.md)",
    ),
    RunSetting(
        name="when_claimed",
        default="wait",
        purpose="What to do about row groups that another run has claimed.",
        choices={
            "wait": "generate the rest, then wait for them",
            "refuse": "exit before starting",
        },
    ),
    RunSetting(
        name="max_parallel_requests",
        default=None,
        at_least=1,
        purpose="Maximum concurrent requests per model. Can lower a model's own limit, not raise it.",
    ),
    RunSetting(
        name="num_retries",
        default=4,
        at_least=0,
        purpose="Retries per request after a timeout, a connection reset or another transient failure. "
        "Waiting for rate limits does not count.",
        no_option=_TUNED_IN_THE_FILE,
    ),
    RunSetting(
        name="max_failure_rate",
        default=0.5,
        at_least=0,
        at_most=1,
        purpose="A run stops when more than this share of records fails; checked after the first 20 records.",
        no_option=_TUNED_IN_THE_FILE,
    ),
    RunSetting(
        name="max_missing_rate",
        default=0.0,
        at_least=0,
        at_most=1,
        only_for="dataset",
        purpose="Maximum share of permanently failed records that processing may leave out.",
        no_option="applies to processing: `sdg process --allow-missing`, the run config of `<name>/dataset`",
        not_in_launchpad="set in the run config of `<name>/dataset`",
    ),
    RunSetting(
        name="stall_timeout",
        default=600.0,
        above=0,
        purpose="A run stops after this many seconds without a success.",
        no_option=_TUNED_IN_THE_FILE,
    ),
    RunSetting(
        name="max_conversation_correction_steps",
        default=1,
        at_least=0,
        purpose="Correction requests per conversation, each telling the model what is wrong with its unusable reply.",
        more="[Corrections](model-columns.md#when-a-reply-cannot-be-used)",
        no_option=_TUNED_IN_THE_FILE,
    ),
    RunSetting(
        name="max_conversation_restarts",
        default=2,
        at_least=0,
        purpose="Restarts of a conversation once its corrections are used up. Each restart allows the "
        "same number of corrections.",
        no_option=_TUNED_IN_THE_FILE,
    ),
    RunSetting(
        name="max_cost",
        default=None,
        above=0,
        purpose="Limit on the total model cost, earlier runs included, in the currency of the prices. "
        "A run stops before the request that could exceed it; raise the limit to resume.",
        more="[Budgets](model-columns.md#budgets)",
        no_option=_BUDGET_STANDS,
    ),
    RunSetting(
        name="max_tokens",
        default=None,
        at_least=1,
        purpose="Limit on the total prompt and completion tokens, earlier runs included. "
        "A run stops before the request that could exceed it; raise the limit to resume.",
        more="[Budgets](model-columns.md#budgets)",
        no_option=_BUDGET_STANDS,
    ),
    RunSetting(
        name="max_attempts",
        default=3,
        at_least=1,
        only_for="pipeline",
        purpose="Number of runs in which a task may fail before its source is given up. A changed "
        "source is tried again.",
        no_option="counts across runs; `sdg retry` retries sources that were given up",
        not_in_launchpad="counts across runs; `retry` retries sources that were given up",
    ),
    RunSetting(
        name="executor",
        default="local",
        only_for="pipeline",
        purpose="Where functions and quality rules run.",
        choices={
            "local": "in the run's own process",
            "ray": "on the Ray cluster at RAY_ADDRESS",
        },
        more="[Where stages run](pipelines.md#where-stages-run)",
    ),
)
RUN_SETTINGS: Mapping[str, RunSetting] = {
    setting.name: setting for setting in _SETTINGS
}
"""Every run setting by its name, in the order in which people need them."""


def markdown_table() -> str:
    """The table of the guide."""
    lines = ["| key | default | meaning | for one run |", "|---|---|---|---|"]
    lines += [_row(setting) for setting in RUN_SETTINGS.values()]
    return "\n".join(lines)


def _row(setting: RunSetting) -> str:
    meaning = [setting.purpose]
    if setting.choices:
        choices = [f"`{value}`: {text}" for value, text in setting.choices.items()]
        meaning.append(f"{'; '.join(choices)}.")
    if setting.only_for is not None:
        meaning.append(f"Only for a {setting.only_for}.")
    if setting.more:
        meaning.append(f"{setting.more}.")
    return f"| `run.{setting.name}` | {_shown_default(setting)} | {' '.join(meaning)} | {_doors(setting)} |"


def _shown_default(setting: RunSetting) -> str:
    if setting.default is None:
        return "none"
    if isinstance(setting.default, str):
        return f"`{setting.default}`"
    return f"{setting.default:g}"


def _doors(setting: RunSetting) -> str:
    """Where a run can be given another value than the file's."""
    doors = []
    if not setting.no_option:
        doors.append(f"`{setting.option}`")
    if not setting.not_in_launchpad:
        doors.append("Dagster")
    return ", ".join(doors) or setting.no_option
