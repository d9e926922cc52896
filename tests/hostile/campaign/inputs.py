"""Hostile dataset and pipeline files, drawn from seeds: as many of each kind as are wanted, the same ones for the same seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.hostile.campaign import stored_inputs
from tests.hostile.campaign.commands import Case
from tests.hostile.campaign.file_inputs import file_cases, import_cases, value_cases
from tests.hostile.campaign.outgoing_inputs import exfiltration_cases, secret_cases
from tests.hostile.campaign.place_inputs import environment_cases, name_cases
from tests.hostile.campaign.run_inputs import mcp_cases, setting_cases
from tests.hostile.campaign.sampler_inputs import sampler_cases
from tests.hostile.campaign.schema_inputs import schema_cases
from tests.hostile.campaign.template_inputs import template_cases

Draw = random.Random


KINDS: dict[str, tuple[Callable[[Draw], Case], int]] = {
    "templates": (template_cases, 136),
    "files": (file_cases, 150),
    "values": (value_cases, 150),
    "exfiltrations": (exfiltration_cases, 120),
    "schemas, patterns, texts": (schema_cases, 180),
    "samplers and dates": (sampler_cases, 302),
    "secrets": (secret_cases, 58),
    "environments, roots, arguments": (environment_cases, 57),
    "names": (name_cases, 100),
    "imports": (import_cases, 80),
    "tool servers": (mcp_cases, 60),
    "run settings": (setting_cases, 120),
    "seed files": (stored_inputs.seed_file_cases, 200),
    "ledgers": (stored_inputs.ledger_cases, 100),
    "files of ours": (stored_inputs.odd_state_cases, 80),
}
"""What draws a case of each kind, and how many the long campaign tries."""


def cases(kind: str, number: int, *, seed: int) -> Iterator[Case]:
    """So many cases of a kind."""
    make = KINDS[kind][0]
    for at in range(number):
        yield replace(make(Draw(f"{seed} {kind} {at}")), name=f"{seed}/{at}")
