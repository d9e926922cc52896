"""Run settings are said once: the config, the command line, Dagster's run config and the guide show what the table says."""

import importlib
from typing import Any, get_args

import pytest
from pydantic.fields import FieldInfo
from typer.main import get_command

from sdg_assets.assets.finished import ProcessConfig
from sdg_assets.assets.run_config import GenerateConfig, RunConfig, SourcesConfig
from sdg_core.api import (
    RUN_SETTINGS,
    ExecutorChoice,
    ResumeChoice,
    RunSettings,
    WhenClaimedChoice,
    json_schema,
)
from sdg_core.config.run_settings import markdown_table
from tests.support.sdg import PROJECT

OWN_OF_DAGSTER = {"subset", "retry"}
"""Fields of the run config that a file does not have."""


def test_the_table_and_the_config_have_the_same_settings() -> None:
    assert set(RunSettings.model_fields) == set(RUN_SETTINGS)
    assert RunSettings().model_dump() == {
        name: setting.default for name, setting in RUN_SETTINGS.items()
    }


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("resume", ResumeChoice),
        ("when_claimed", WhenClaimedChoice),
        ("executor", ExecutorChoice),
    ],
)
def test_choices_are_the_same_everywhere(name: str, choice: Any) -> None:
    values = list(get_args(RunSettings.model_fields[name].annotation))
    assert (
        values
        == list(RUN_SETTINGS[name].choices)
        == [member.value for member in choice]
        == list(choice.__members__)
    )


def test_editors_show_what_the_table_says() -> None:
    described = json_schema("dataset")["definitions"]["RunSettings"]["properties"]
    assert {name: schema["description"] for name, schema in described.items()} == {
        name: setting.text for name, setting in RUN_SETTINGS.items()
    }


def test_every_setting_is_an_option_or_has_a_reason() -> None:
    main = importlib.import_module("sdg_core.cli.main")
    command: Any = get_command(main.app)
    options = {option.opts[0]: option for option in command.commands["generate"].params}
    for name, setting in RUN_SETTINGS.items():
        assert (setting.option in options) != bool(setting.no_option), name
        if setting.option in options:
            option = options[setting.option]
            assert setting.text in option.help
            assert (option.min, option.max) == (setting.at_least, setting.at_most)


def test_the_launchpad_offers_every_setting_or_has_a_reason() -> None:
    for config, kind in ((GenerateConfig, "dataset"), (SourcesConfig, "pipeline")):
        offered = {
            name
            for name, setting in RUN_SETTINGS.items()
            if not setting.not_in_launchpad and setting.only_for in (None, kind)
        }
        assert set(config.model_fields) - OWN_OF_DAGSTER == offered
        for name in offered:
            assert_same_as_in_a_file(config, name)
    assert_same_as_in_a_file(ProcessConfig, "max_missing_rate")


def assert_same_as_in_a_file(config: type[Any], name: str) -> None:
    """The field takes what a file takes, and says the same about it."""
    setting = RUN_SETTINGS[name]
    field = config.model_fields[name]
    assert field.description == setting.text
    assert bounds_of(field) == bounds_of(RunSettings.model_fields[name])
    assert bounds_of(field) == {
        "ge": setting.at_least,
        "gt": setting.above,
        "le": setting.at_most,
    }


def bounds_of(field: FieldInfo) -> dict[str, Any]:
    return {
        key: next((getattr(m, key) for m in field.metadata if hasattr(m, key)), None)
        for key in ("ge", "gt", "le")
    }


def test_what_both_kinds_of_file_offer_stands_in_one_class() -> None:
    shared = {
        name
        for name, setting in RUN_SETTINGS.items()
        if not setting.not_in_launchpad and setting.only_for is None
    }
    assert set(RunConfig.model_fields) == shared


def test_the_guide_shows_the_table() -> None:
    page = (PROJECT / "docs" / "guide" / "dataset-file.md").read_text(encoding="utf-8")
    assert f"\n{markdown_table()}\n" in page
