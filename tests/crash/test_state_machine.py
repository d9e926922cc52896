"""Any order of generating, being killed, extending, editing the config and changing it back, corrupting files, processing and
reopening keeps the promises: rows are those of one uninterrupted run, data of two configs never meets, a sealed version
is left alone, and no reply is paid for twice beyond those that were lost with a killed process or a destroyed file.

Replies come from a real server, whose every reply is known from its prompt. SDG_LONG=1 runs the long form.
"""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sdg_core import api
from sdg_core.dataset.events import Event, RecordsSettled
from sdg_core.errors import CorruptFileError, IncompleteError, SealedError
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_groups import read_footer
from sdg_core.system.failpoints import FAILPOINTS, VARIABLE
from tests.crash.campaign import IN_FLIGHT, KILLED, repeats
from tests.support.requirements import LONG
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    llm,
    open_dataset,
    snapshot,
    started_sdg,
    stored_records,
    uuid,
    write_config,
)

MAX_RECORDS = 40
SIZE = 6
QUESTION = llm("question", "ask about {{ id }} on {{ plan }}", drop=True)
VARIANTS = {
    "first": (
        uuid(),
        category("plan", "free", "pro"),
        QUESTION,
        llm("answer", "answer {{ question }}"),
    ),
    "edited": (
        uuid(),
        category("plan", "free", "pro"),
        QUESTION,
        llm("answer", "answer shortly {{ question }}"),
    ),
    "longer": (
        uuid(),
        category("plan", "free", "pro"),
        QUESTION,
        llm("answer", "answer {{ question }}"),
        llm("judgement", "judge {{ answer }}"),
    ),
}
Rows = dict[int, dict[str, Any]]


class Resuming(RuleBasedStateMachine):
    """One root, one dataset file that changes, one server that counts.

    `forgiven`: repeated requests that are nobody's fault: on their way when a process died, or in a file that was destroyed.
    """

    server: ServerProcess
    reference: dict[str, Rows]

    @initialize()
    def begin(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.base = Path(self._directory.name)
        self.root = self.base / "data"
        self.variant, self.num_records = "first", 13
        self.sealed: set[str] = set()
        self.forgiven = 0
        self.asked_before = len(self.server.prompts())

    def teardown(self) -> None:
        if hasattr(self, "_directory"):
            self._directory.cleanup()

    @property
    def file(self) -> Path:
        config = dataset_config(
            *VARIANTS[self.variant],
            endpoint=self.server.url,
            num_records=self.num_records,
            row_group_size=SIZE,
        )
        return write_config(self.base / "tickets.yaml", config)

    def opened(self) -> api.Dataset:
        return api.open_dataset(self.file, root=str(self.root))

    @rule()
    def generate(self) -> None:
        if self._refused_because_sealed():
            return
        summary = api.generate(self.opened())
        assert (summary.failed, summary.remaining) == (0, 0)

    @rule(data=st.data())
    def generate_some_row_groups(self, data: st.DataObject) -> None:
        if self._refused_because_sealed():
            return
        dataset = self.opened()
        chosen = data.draw(
            st.sets(st.integers(0, len(dataset.plan.row_groups) - 1), min_size=1)
        )
        assert api.generate(dataset, row_groups=sorted(chosen)).remaining == 0

    @rule(after=st.integers(1, 20))
    def generate_and_stop(self, after: int) -> None:
        """Cancelled in order, as by Ctrl-C."""
        if self._refused_because_sealed():
            return
        asyncio.run(self._cancelled(after))
        self.forgiven += IN_FLIGHT

    async def _cancelled(self, after: int) -> None:
        made = 0

        def on_event(event: Event) -> None:
            nonlocal made
            made += event.made if isinstance(event, RecordsSettled) else 0
            if made >= after:
                running.cancel()

        running = asyncio.ensure_future(api.agenerate(self.opened(), on_event=on_event))
        await asyncio.wait((running,))
        if not running.cancelled():
            running.result()

    @rule(
        point=st.sampled_from(
            [
                p
                for p in FAILPOINTS
                if not p.startswith(("processing", "reopen", "checkpoint"))
            ]
        ),
        count=st.integers(1, 6),
    )
    def generate_and_be_killed(self, point: str, count: int) -> None:
        if self._refused_because_sealed():
            return
        with started_sdg(
            "generate",
            self.file,
            "--root",
            self.root,
            env={VARIABLE: f"{point}:{count}"},
        ) as running:
            _, errors = running.communicate()
        assert running.returncode in (0, KILLED), errors
        note(f"killed: {running.returncode == KILLED}")
        self.forgiven += IN_FLIGHT

    @rule(more=st.integers(1, 9))
    def extend(self, more: int) -> None:
        self.num_records = min(MAX_RECORDS, self.num_records + more)

    @rule(variant=st.sampled_from(sorted(VARIANTS)))
    def edit(self, variant: str) -> None:
        """Also back to what the file said before."""
        self.variant = variant

    @precondition(lambda self: self.variant not in self.sealed)
    @rule(
        data=st.data(),
        how=st.sampled_from(["truncated", "emptied", "removed", "foreign text"]),
    )
    def damage_a_file(self, data: st.DataObject, how: str) -> None:
        version = self._version(self.variant)
        groups = version.existing_row_groups() if version is not None else []
        if version is None or not groups:
            return
        path = version.row_group(data.draw(st.sampled_from(groups)))
        content = path.read_bytes()
        self.forgiven += 3 * SIZE
        match how:
            case "truncated":
                path.write_bytes(content[: len(content) // 2])
            case "emptied":
                path.write_bytes(b"")
            case "removed":
                path.unlink()
            case "foreign text":
                path.write_bytes(b"PAR1 this is not what it says PAR1")

    @rule()
    def process(self) -> None:
        dataset = self.opened()
        version = self._version(self.variant)
        complete = version is not None and all(
            s.state == "complete" for s in api.row_group_statuses(dataset)
        )
        # a sealed one lacks records only if the dataset has grown since
        if not complete:
            with pytest.raises(
                SealedError if self.variant in self.sealed else IncompleteError
            ):
                api.process(dataset)
            return
        result = api.process(dataset)
        assert result.already_done == (self.variant in self.sealed)
        self.sealed.add(self.variant)

    @rule()
    def reopen(self) -> None:
        if self._version(self.variant) is None:
            with pytest.raises(IncompleteError):
                api.reopen(self.opened())
            return
        assert api.reopen(self.opened()) == (self.variant in self.sealed)
        self.sealed.discard(self.variant)

    @invariant()
    def rows_are_those_of_an_uninterrupted_run(self) -> None:
        for variant in VARIANTS:
            version = self._version(variant)
            if version is None:
                continue
            for index, row in stored_records(
                version, self._whole_row_groups(version)
            ).items():
                assert row == self.reference[variant][index], (
                    f"record {index} of {variant}"
                )

    @invariant()
    def nothing_is_paid_for_twice(self) -> None:
        if hasattr(self, "asked_before"):
            asked = self.server.prompts()[self.asked_before :]
            assert repeats(asked) <= self.forgiven, Counter(asked).most_common(3)

    def _refused_because_sealed(self) -> bool:
        """Whether the version is sealed; then generating must be refused and change nothing."""
        if self.variant not in self.sealed:
            return False
        before = snapshot(self.root / "tickets")
        with pytest.raises(SealedError):
            api.generate(self.opened())
        assert snapshot(self.root / "tickets") == before
        return True

    def _version(self, variant: str) -> VersionLayout | None:
        if not hasattr(self, "root"):
            return None
        config = dataset_config(
            *VARIANTS[variant], endpoint=self.server.url, row_group_size=SIZE
        )
        plan = api.open_dataset(
            write_config(self.base / f"{variant}.yaml", config), root=str(self.root)
        ).plan
        version = VersionLayout(self.root / "tickets" / plan.fingerprint.version)
        return version if version.metadata.exists() else None

    def _whole_row_groups(self, version: VersionLayout) -> list[int]:
        """Row groups whose file can be read; all of them hold data of this version's config."""
        whole = []
        for index in version.existing_row_groups():
            try:
                footer = read_footer(version.row_group(index))
            except CorruptFileError:
                continue
            assert footer.config_hash.removeprefix("sha256:").startswith(version.name)
            whole.append(index)
        return whole


def test_any_order_of_events_keeps_the_promises(tmp_path: Path) -> None:
    with ServerProcess() as server:
        Resuming.server, Resuming.reference = server, {}
        for name, columns in VARIANTS.items():
            config = dataset_config(
                *columns,
                endpoint=server.url,
                num_records=MAX_RECORDS,
                row_group_size=SIZE,
            )
            dataset = open_dataset(
                tmp_path / f"{name}.yaml", config, root=tmp_path / name
            )
            Resuming.reference[name] = stored_records(api.generate(dataset).version)
        run_state_machine_as_test(
            Resuming,
            settings=settings(
                max_examples=300 if LONG else 6,
                stateful_step_count=25 if LONG else 10,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=not LONG,
            ),
        )
