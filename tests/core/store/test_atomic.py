"""A reader sees the old file or the new one, whatever happens in between."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sdg_core.errors import StoreError
from sdg_core.store.atomic import (
    atomic_file,
    ensure_writable,
    quarantine,
    remove_directory,
    write_atomic,
)
from sdg_core.store.local_storage import exclusive_lock
from sdg_core.store.staged_output import new_output
from sdg_core.store.temporaries import clean_temporaries, temporary_name
from tests.support.requirements import PATIENCE, require
from tests.support.sdg import (
    PROJECT,
    fill_disk,
    open_to_everyone,
    remount_read_only,
    small_disk,
    wait_until,
)


def run_python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_file_is_replaced_and_no_temporary_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "directory" / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with pytest.raises(type(error)), atomic_file(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


_HALF_WRITTEN = """
import sys
from pathlib import Path
from sdg_core.store.atomic import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"half of the new content")
    file.flush()
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_writer_killed_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with subprocess.Popen(
        [sys.executable, "-c", _HALF_WRITTEN, str(path)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        (temporary,) = (name for name in os.listdir(tmp_path) if name != "file")
        clean_temporaries(tmp_path)
        assert (tmp_path / temporary).exists(), "the temporary of a live process stays"
        writer.kill()
    assert path.read_bytes() == b"old"
    clean_temporaries(tmp_path)
    assert os.listdir(tmp_path) == ["file"]
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_cleaning_removes_files_and_directories_of_dead_processes_only(
    tmp_path: Path,
) -> None:
    own = temporary_name("file")
    host, dead = socket.gethostname(), dead_process()
    rest = own.partition(f"{os.getpid()}-")[2]
    kept = {
        own,
        f".tmp-{host}-{os.getppid()}-{rest}",
        f".tmp-elsewhere-{dead}-{rest}",
        # of process 1 on a host named `<ours>-<number>`
        f".tmp-{host}-{dead}-1-{rest}",
        "file",
        ".tmp",
        f".tmp-{host}-{dead}",
    }
    gone = {
        f".tmp-{host}-{dead}-{rest}",
        # Process 1 of a container that was restarted has the number of the one that was killed.
        re.sub(rf"(-{os.getpid()}-)[0-9a-f]{{8}}", r"\g<1>00000000", own),
    }
    for name in kept | gone:
        (tmp_path / name).write_bytes(b"")
    directory = tmp_path / f".tmp-{host}-{dead}-00000000-00000000-processed"
    (directory / "dataset").mkdir(parents=True)
    (directory / "dataset" / "part").write_bytes(b"")
    clean_temporaries(tmp_path)
    assert set(os.listdir(tmp_path)) == kept
    clean_temporaries(tmp_path / "absent")


def test_a_full_disk_is_a_store_error_that_keeps_the_old_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "file"
        write_atomic(path, b"old")
        fill_disk(disk, leave=8192)
        with pytest.raises(
            StoreError, match=r"cannot write .*/file: No space left on device"
        ) as raised:
            write_atomic(path, b"x" * 100_000)
        assert "free some space" in str(raised.value.remedy)
        assert path.read_bytes() == b"old"
        assert sorted(os.listdir(disk)) == ["file", "filler"]


def test_a_full_disk_is_found_before_anything_is_paid_for(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        fill_disk(disk)
        with pytest.raises(StoreError, match="No space left") as raised:
            ensure_writable(disk / "tickets")
        assert "free some space" in str(raised.value.remedy)


def test_a_read_only_file_system_is_a_store_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        write_atomic(disk / "file", b"old")
        remount_read_only(disk)
        for act in (
            ensure_writable,
            lambda p: write_atomic(p / "file", b"new"),
            lambda p: ensure_writable(p / "new"),
        ):
            with pytest.raises(StoreError, match="Read-only file system") as raised:
                act(disk)
            assert "choose another root" in str(raised.value.remedy)
        assert (disk / "file").read_bytes() == b"old"


_AS_NOBODY = """
import os, sys
from pathlib import Path
from sdg_core.errors import StoreError
from sdg_core.store.atomic import ensure_writable, write_atomic
from sdg_core.store.layout import DatasetLayout
os.setgid(65534)
os.setuid(65534)
root = Path(sys.argv[1])
for act in (
    lambda: ensure_writable(root / "closed"),
    lambda: ensure_writable(root / "closed" / "new"),
    lambda: write_atomic(root / "closed" / "file", b"new"),
    lambda: DatasetLayout(root, "unreadable").versions(),
):
    try:
        act()
    except StoreError as error:
        print(error)
"""


def test_a_directory_without_permission_is_a_store_error(tmp_path: Path) -> None:
    require(os.getuid() == 0, "root, to become another user")
    open_to_everyone(tmp_path)
    (tmp_path / "closed").mkdir(mode=0o755)
    (tmp_path / "unreadable").mkdir(mode=0o700)
    (tmp_path / "closed" / "file").write_bytes(b"old")
    outcome = run_python(_AS_NOBODY, tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.count("Permission denied") == 4, outcome.stdout
    assert outcome.stdout.count("grant write permission, or choose another root") == 4
    assert (tmp_path / "closed" / "file").read_bytes() == b"old"


def test_a_file_in_the_place_of_a_directory_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for directory in (tmp_path / "file", tmp_path / "file" / "tickets"):
        with pytest.raises(StoreError, match="cannot write to") as raised:
            ensure_writable(directory)
        assert "a file is in the place of a directory" in str(raised.value.remedy)


def test_a_directory_is_published_whole_and_replaces_the_old_one(
    tmp_path: Path,
) -> None:
    target = tmp_path / "processed"
    for content in (b"one", b"two"):
        with new_output(target) as output:
            part = output.create("dataset/part")
            part.file.write(content)
            part.finish()
        assert (target / "dataset" / "part").read_bytes() == content
        assert os.listdir(tmp_path) == ["processed"]
    remove_directory(target)
    remove_directory(target)
    assert os.listdir(tmp_path) == []


def test_a_file_moved_aside_never_replaces_another(tmp_path: Path) -> None:
    places = []
    for content in (b"first", b"second"):
        (tmp_path / "batch_00000.parquet").write_bytes(content)
        places.append(
            quarantine(tmp_path / "batch_00000.parquet", tmp_path / "quarantine")
        )
    assert [place.read_bytes() for place in places] == [b"first", b"second"]
    assert os.listdir(tmp_path) == ["quarantine"]


_COUNTING = """
import sys
from pathlib import Path
from sdg_core.store.atomic import write_atomic
from sdg_core.store.local_storage import exclusive_lock
directory = Path(sys.argv[1])
for _ in range(50):
    with exclusive_lock(directory / ".lock"):
        write_atomic(directory / "count", str(int((directory / "count").read_text()) + 1).encode())
"""


def test_a_lock_excludes_other_processes_and_dies_with_its_holder(
    tmp_path: Path,
) -> None:
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", _COUNTING, str(tmp_path)]
    counters = [subprocess.Popen(command, cwd=PROJECT) for _ in range(3)]
    assert [counter.wait(timeout=PATIENCE) for counter in counters] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "150"

    holding = "import sys; from pathlib import Path; from sdg_core.store.local_storage import exclusive_lock\n"
    holding += "with exclusive_lock(Path(sys.argv[1])): Path(sys.argv[1] + '.held').touch(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(tmp_path / "l")],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
    ) as holder:
        wait_until((tmp_path / "l.held").exists, "the lock is held")
        holder.kill()
    with exclusive_lock(tmp_path / "l"):
        pass
