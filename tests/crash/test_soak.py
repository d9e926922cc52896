"""Thousands of calls to a server that fails one in eight of them, in eight ways: every record ends whole, with the right replies.

CI makes 1,800 calls; SDG_LONG=1 makes 50,000.
"""

from collections import Counter
from pathlib import Path

from sdg_core.testing import answer_to
from tests.support.requirements import LONG
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    llm,
    only_version,
    sdg,
    stored_records,
    uuid,
    write_config,
)

CALLS_PER_RECORD = 3
RECORDS = (50_001 if LONG else 1_800) // CALLS_PER_RECORD
FAULTS = {
    "limited": 0.04,
    "500": 0.03,
    "reset": 0.01,
    "truncated": 0.01,
    "html": 0.01,
    "broken_json": 0.01,
    "null_content": 0.005,
    "slow": 0.005,
}


def test_no_record_is_lost_to_a_server_that_fails_one_request_in_eight(
    tmp_path: Path,
) -> None:
    columns = [
        uuid(),
        category("plan", "free", "pro"),
        llm("question", "ask about {{ id }} on {{ plan }}"),
        llm("answer", "answer {{ question }} of {{ id }}"),
        llm("summary", "sum up {{ id }}"),
    ]
    rates = [
        option
        for kind, share in FAULTS.items()
        for option in ("--rate", f"{kind}={share}")
    ]
    with ServerProcess("--latency", "0.005", "--delay", "0.5", *rates) as server:
        config = dataset_config(
            *columns,
            endpoint=server.url,
            parallel=64,
            num_records=RECORDS,
            row_group_size=500,
            run={"num_retries": 8},  # nine such faults in a row are one in billions
        )
        file = write_config(tmp_path / "tickets.yaml", config)
        done = sdg("generate", file, "--root", tmp_path / "data", patience=3600)
        asked = Counter(server.prompts())
    assert done.returncode == 0, done.stderr
    rows = stored_records(only_version(tmp_path / "data"))
    assert sorted(rows) == list(range(RECORDS))
    wanted: set[str] = set()
    for row in rows.values():
        prompts = {
            "question": f"ask about {row['id']} on {row['plan']}",
            "answer": f"answer {row['question']} of {row['id']}",
            "summary": f"sum up {row['id']}",
        }
        assert {name: row[name] for name in prompts} == {
            name: answer_to(text) for name, text in prompts.items()
        }
        wanted.update(prompts.values())
    assert set(asked) == wanted and len(wanted) == RECORDS * CALLS_PER_RECORD
    assert asked.total() > len(wanted), "the server injected no fault at all"
