"""What the crash campaign kills: scenarios of runs, ways to die, and what must be true however often they do."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdg_core.system.failpoints import FAILPOINTS, VARIABLE
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    llm,
    sdg,
    started_sdg,
    uuid,
    wait_until,
    write_config,
)

IN_FLIGHT = 8
"""Cells that may be on their way at a kill: 4 requests, twice as many records."""
KILLED = -9

Config = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A dataset as it is worked on. configs: what the dataset file says, one after the other; each is run to its end.

    files: written beside the dataset file. edited: columns whose cells the later configs make again.
    """

    name: str
    configs: Sequence[Config]
    files: Mapping[str, str] = field(default_factory=dict)


COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    llm("question", "ask about {{ id }} on {{ plan }}", drop=True),
    llm("answer", "answer {{ question }} of {{ id }}"),
)
SEEDED = (uuid(), llm("answer", "answer {{ topic }} of {{ id }}"))
TOPICS = "topic,level\n" + "".join(
    f"topic {number},{number % 3}\n" for number in range(17)
)
READER = """
import json

import pyarrow as pa
from sdg_core.seeds.directory import DirectoryReader


class Many(DirectoryReader):
    schema = pa.schema([("topic", pa.string())])

    def rows_of(self, file):
        for topic in json.loads(file.read_bytes()):
            yield {"topic": topic}
"""
MANY = {
    f"documents/{name}.json": "["
    + ", ".join(f'"{name} {part}"' for part in range(count))
    + "]"
    for name, count in (("a", 3), ("b", 0), ("c", 5), ("d", 1), ("e", 4))
}


def seeded(strategy: str, **more: Any) -> Config:
    return {
        "source": {"seed_type": "local", "path": "topics.csv"},
        "sampling_strategy": strategy,
        **more,
    }


def scenarios(endpoint: str) -> list[Scenario]:
    """Every kind of run that must survive."""

    def config(*columns: Config, **top: Any) -> Config:
        return dataset_config(
            *columns,
            endpoint=endpoint,
            **{"num_records": 40, "row_group_size": 10, **top},
        )

    many = {
        "source": {
            "seed_type": "custom",
            "reader": "./readers.py:Many",
            "params": {"path": "documents"},
        }
    }
    edited = (*COLUMNS[:3], llm("answer", "answer briefly {{ question }} of {{ id }}"))
    topics = {"topics.csv": TOPICS}
    return [
        Scenario("plain", [config(*COLUMNS)]),
        Scenario("one row group", [config(*COLUMNS, row_group_size=100)]),
        Scenario(
            "tiny row groups", [config(*COLUMNS, num_records=21, row_group_size=2)]
        ),
        Scenario(
            "ordered seed", [config(*SEEDED, seed_config=seeded("ordered"))], topics
        ),
        Scenario(
            "shuffled seed",
            [config(*SEEDED, seed_config=seeded("shuffle"), row_group_size=7)],
            topics,
        ),
        Scenario(
            "partition block",
            [
                config(
                    *SEEDED,
                    seed_config=seeded(
                        "shuffle", selection_strategy={"index": 1, "num_partitions": 3}
                    ),
                    row_group_size=9,
                )
            ],
            topics,
        ),
        Scenario(
            "one file, many rows",
            [config(*SEEDED, seed_config=many)],
            {"readers.py": READER, **MANY},
        ),
        Scenario(
            "extension",
            [config(*COLUMNS, num_records=number) for number in (13, 25, 38)],
        ),
        Scenario(
            "extension of a shuffled seed",
            [
                config(*SEEDED, seed_config=seeded("shuffle"), num_records=number)
                for number in (15, 38)
            ],
            topics,
        ),
        Scenario(
            "an edited prompt", [config(*COLUMNS), config(*edited), config(*COLUMNS)]
        ),
        Scenario(
            "other row groups and an edited prompt",
            [
                config(*COLUMNS, num_records=25),
                config(*edited, num_records=38, row_group_size=7),
            ],
        ),
    ]


class Trial:
    """One scenario under fire. `kills` counts the processes that died."""

    def __init__(
        self,
        scenario: Scenario,
        directory: Path,
        *,
        root: str,
        draw: random.Random,
        kills: int,
    ) -> None:
        self.scenario, self.root, self.kills = scenario, root, 0
        self.file = directory / "tickets.yaml"
        self._draw, self._at_most = draw, kills
        for name, content in scenario.files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(content, encoding="utf-8")

    def run(self, server: ServerProcess) -> None:
        """Work through the configs and process the result, dying on the way."""
        for config in self.scenario.configs:
            write_config(self.file, config)
            self._until_done("generate", server)
        self._until_done("process", server)

    def _until_done(self, command: str, server: ServerProcess) -> None:
        while self.kills < self._at_most and self._dies(command, server):
            self.kills += 1
        done = sdg(command, self.file, "--root", self.root)
        assert done.returncode == 0, f"{self.scenario.name}: {command}: {done.stderr}"

    def _dies(self, command: str, server: ServerProcess) -> bool:
        """Start the command and end it by `kill -9`; False if it was through before."""
        if command == "process" or self._draw.random() < 0.6:
            point, count = (
                self._draw.choice(FAILPOINTS),
                self._draw.choice((1, 1, 2, 3, 5, 8)),
            )
            condition, env = None, {VARIABLE: f"{point}:{count}"}
        else:
            condition, env = self._more_requests(server), {}
        with started_sdg(command, self.file, "--root", self.root, env=env) as running:
            if condition is not None:
                wait_until(
                    lambda: running.poll() is not None or condition(),
                    "requests arrived",
                )
                running.kill()
            _, errors = running.communicate()
        assert running.returncode in (0, KILLED), (
            f"{self.scenario.name}: {env}: {errors}"
        )
        return running.returncode == KILLED

    def _more_requests(self, server: ServerProcess) -> Callable[[], bool]:
        wanted = len(server.prompts()) + self._draw.randint(1, 30)
        return lambda: len(server.prompts()) >= wanted


def repeats(prompts: Sequence[str]) -> int:
    """Requests that were sent although the same had been sent before."""
    return sum(count - 1 for count in Counter(prompts).values())
