"""What waits has an end and says why; what works is not taken for a stall; what lost its claim changes nothing."""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.config.models import InferenceParameters
from sdg_core.config.run import RunSettings
from sdg_core.dataset.handle import existing_version
from sdg_core.errors import ClaimLostError, LedgerError, ModelError, StoreError
from sdg_core.execution.stop_rules import FailureBudget
from sdg_core.ledger.database import open_ledger
from sdg_core.models.providers.http_errors import Caller, error_from_exception
from sdg_core.models.providers.openai_media import decode_embeddings
from sdg_core.models.types import EmbeddingRequest
from sdg_core.plan.variables import may_be_sent
from sdg_core.processing.process import process
from sdg_core.store import local_storage
from sdg_core.store.local_storage import exclusive_lock
from sdg_core.store.row_group_state import scan_row_groups
from tests.support.requirements import PATIENCE
from tests.support.sdg import (
    SDG,
    ServerProcess,
    dataset_config,
    llm,
    uuid,
    write_config,
)


def test_a_lock_that_is_never_freed_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_storage, "_LOCK_SECONDS", 0.05)
    with exclusive_lock(tmp_path / ".lock"):
        with pytest.raises(StoreError, match="has been locked by another process"):
            with exclusive_lock(tmp_path / ".lock"):
                raise AssertionError("held twice")
    with exclusive_lock(tmp_path / ".lock"):
        pass


def test_own_work_is_no_stall() -> None:
    now = 0.0
    budget = FailureBudget(RunSettings(stall_timeout=5.0), began=now)
    with budget.own_work(lambda: now):
        now = 100.0
        assert budget.stall_reason(now) is None
        now = 104.0
    assert budget.stall_reason(108.0) is None
    assert "nothing has succeeded for 5 s" in str(budget.stall_reason(109.0))


def test_processing_that_lost_its_claim_does_not_begin(tmp_path: Path) -> None:
    @contextmanager
    def lost() -> Iterator[None]:
        raise ClaimLostError("it is another run's")
        yield

    dataset = api.open_dataset(
        dataset_config(uuid()) | {"num_records": 3}, root=str(tmp_path)
    )
    api.generate(dataset)
    version = existing_version(dataset)
    before = version.layout.metadata.read_bytes()
    statuses = scan_row_groups(version.layout, dataset.plan)
    with pytest.raises(ClaimLostError):
        process(
            version.layout,
            dataset.plan,
            statuses,
            on_row_group=lambda index: None,
            open_source=lambda source: pytest.fail("nothing is opened"),
            commit_guard=lost,
        )
    assert version.layout.metadata.read_bytes() == before


@pytest.mark.parametrize(
    "vector",
    ["[true, false]", f"[1{'0' * 400}]", "[NaN]", '["a"]', "[[1]]", "[null]", '"AAA"'],
)
def test_what_is_no_vector(vector: str) -> None:
    request = EmbeddingRequest(
        "m", ("a",), InferenceParameters(generation_type="embedding")
    )
    with pytest.raises(ModelError):
        decode_embeddings(
            f'{{"data": [{{"embedding": {vector}}}]}}'.encode(),
            request,
            caller=Caller("p", "http://x", None),
        )


def test_the_limit_of_open_files_is_named(tmp_path: Path) -> None:
    ledger = open_ledger(None, root=tmp_path)
    ledger.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))
        with (
            pytest.raises(LedgerError, match="too many open files") as caught,
            ledger.transaction("write"),
        ):
            raise AssertionError("it opened")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
    assert "ulimit -n" in str(caught.value.remedy)
    error = error_from_exception(
        OSError(errno.EMFILE, "x"),
        caller=Caller("p", "http://x", None),
        model="m",
        timeout=1,
    )
    assert "ulimit -n" in str(error.remedy)


def test_a_run_keeps_within_the_limit_of_open_files(tmp_path: Path) -> None:
    """2,000 requests at once where 64 files may be open: fewer at once, and no record fails."""
    with ServerProcess("--latency", "0.01") as server:
        config = dataset_config(
            uuid(),
            llm("text", "x {{ id }}"),
            endpoint=server.url,
            parallel=2_000,
            num_records=300,
        )
        file = write_config(tmp_path / "t.yaml", config)
        limited = [
            "bash",
            "-c",
            'ulimit -n 64 && exec "$@"',
            "bash",
            *SDG,
            "generate",
            file,
        ]
        outcome = subprocess.run(
            [*limited, "--root", tmp_path / "root"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert outcome.returncode == 0, outcome.stderr
        assert "at most 16 requests at once instead of 2,000" in outcome.stderr
        assert server.stats()["requests"] == 300 and server.stats()["peak"] <= 16


@pytest.mark.parametrize(
    ("variable", "host", "may"),
    [
        ("MY_COMPANY_TOKEN", "llm.company.example", True),
        ("LLM_KEY", "anything.example", True),
        ("VLLM_API_KEY", "10.0.0.7", True),
        ("HF_TOKEN", "huggingface.co", True),
        ("HF_TOKEN", "router.huggingface.co", True),
        ("HF_TOKEN", "huggingface.co.evil.example", False),
        ("OPENAI_API_KEY", "api.openai.com", True),
        ("OPENAI_API_KEY", "127.0.0.1", True),
        ("OPENAI_API_KEY", "localhost", True),
        ("OPENAI_API_KEY", "openai.example", False),
        ("AZURE_OPENAI_API_KEY", "mine.openai.azure.com", True),
        ("AZURE_API_KEY", "mine.openai.azure.com", True),
        ("AZURE_CLIENT_SECRET", "mine.openai.azure.com", False),
        ("AWS_SECRET_ACCESS_KEY", "127.0.0.1", False),
        ("AWS_BEARER_TOKEN_BEDROCK", "bedrock.example", False),
        ("GOOGLE_API_KEY", "generativelanguage.googleapis.com", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", "generativelanguage.googleapis.com", False),
        ("GITHUB_TOKEN", "models.github.ai", False),
        ("DB_PASSWORD", "db.example", False),
        ("DATABASE_URL", "db.example", False),
        ("PASSWORDLESS_TOKEN", "a.example", True),
        ("CIRCLE_KEY", "a.example", True),
        ("PATHFINDER_KEY", "a.example", True),
        ("GHOST_KEY", "a.example", True),
    ],
)
def test_which_variable_goes_where(variable: str, host: str, may: bool) -> None:
    assert may_be_sent(variable, host, allowed={}) is may
    assert may_be_sent(variable, host, allowed={variable: (host,)})
