"""Whichever request an object store refuses, a run says what it could not do, where, and what to do about it."""

import errno
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.errors import StoreError
from sdg_core.store.bucket import Bucket, ObjectStoreError
from tests.support.sdg import category, dataset_config, uuid, write_config

REMEDY = "rerun the same command later"


@dataclass
class Refusing:
    """A store that refuses one request, by its number."""

    refused: int
    asked: int = 0

    def refuse(self) -> None:
        self.asked += 1
        if self.asked == self.refused:
            raise ObjectStoreError(errno.EIO, "the store is throttling", REMEDY)


@contextmanager
def refusing(number: int) -> Iterator[Refusing]:
    store = Refusing(number)
    carried_out = Bucket._faults

    @contextmanager
    def faults(bucket: Bucket) -> Iterator[None]:
        store.refuse()
        with carried_out(bucket):
            yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket, "_faults", faults)
        yield store


def test_every_request_that_is_refused_ends_in_an_error_with_its_place_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    config = dataset_config(
        uuid(), category("plan", "free", "pro"), num_records=4, row_group_size=2
    )
    file = write_config(tmp_path / "tickets.yaml", config)
    errors = 0
    for number in itertools.count(1):
        dataset = api.open_dataset(
            file, root=f"memory://refusing-{tmp_path.name}-{number}/data"
        )
        with refusing(number) as store:
            try:
                api.generate(dataset)
            except StoreError as error:
                assert "memory://refusing" in str(error) and error.remedy == REMEDY
                errors += 1
        assert api.generate(dataset).remaining == 0, (
            "the same command again completes it"
        )
        if store.asked < number:
            break
    assert errors > number / 2
