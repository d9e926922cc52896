"""Seed data that is not to be read now: what planning knew of it when it was last read.

Commands that only look (`validate`, `plan`, `status`) open no connection and run no reader of the user. Each time such seed data
is read, `<cache>/sdg-dagster/seeds/<key>` keeps its schema, size and digest; the key covers the source as the dataset file
writes it, the place of the file, and the reader's source.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from sdg_core.config.seeds import (
    CustomSeedSource,
    HuggingFaceSeedSource,
    SeedConfig,
    SqlSeedSource,
)
from sdg_core.errors import SeedError, SeedNotReadError
from sdg_core.plan.dataset_plan import SeedInfo
from sdg_core.plan.usercode.loader import UserCodeError, find_definition
from sdg_core.seeds.digests import cache_directory


def needs_code_or_network(config: SeedConfig, env: Mapping[str, str]) -> bool:
    """Whether reading the seed data runs a class of the user or opens a connection."""
    match config.source:
        case CustomSeedSource() | HuggingFaceSeedSource():
            return True
        case SqlSeedSource(url=url, url_env=variable):
            text = url if url is not None else env.get(variable or "", "")
            return not text.startswith(("sqlite:", "sqlite+pysqlite:"))
        case _:
            return False


def cache_info(info: SeedInfo, config: SeedConfig, *, base: Path, root: str) -> None:
    """Keep what is known of seed data. Where nothing can be kept, it is not known later."""
    path = _place(config, base=base, root=root)
    if path is None:
        return
    schema = base64.b64encode(info.schema.serialize().to_pybytes()).decode()
    content = {
        "schema": schema,
        "num_rows": info.num_rows,
        "digest": info.digest,
        "files": dict(info.files),
    }
    temporary = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content), encoding="utf-8")
        os.replace(temporary, path)


def cached_info(config: SeedConfig, *, base: Path, root: str) -> SeedInfo:
    """What was kept. Raises SeedNotReadError if nothing was, SeedError if the reader's class is not in its file."""
    path = _place(config, base=base, root=root)
    try:
        content = (
            json.loads(path.read_text(encoding="utf-8")) if path is not None else None
        )
        assert content is not None
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(content["schema"])))
        return SeedInfo(
            schema,
            int(content["num_rows"]),
            str(content["digest"]),
            dict(content["files"]),
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AssertionError,
        pa.ArrowException,
    ) as error:
        raise SeedNotReadError(
            f"seed_config.source: seed data of seed_type {config.source.seed_type} has not been read on this machine; "
            "this command opens no connection and runs no code of the dataset file",
            remedy="run `sdg preview FILE` or `sdg generate FILE` to read it",
        ) from error


def _place(config: SeedConfig, *, base: Path, root: str) -> Path | None:
    code = ""
    if isinstance(config.source, CustomSeedSource):
        try:
            code = find_definition(
                config.source.reader, base=base, what="class"
            ).module_text
        except UserCodeError as error:
            raise SeedError(f"seed_config.source.reader: {error}") from error
    directory = cache_directory(os.environ)
    written = config.model_dump(mode="json")
    if config.where is None:
        del written["where"]  # what was kept before there was such a key is still found
    key = json.dumps([written, str(base), root, code], sort_keys=True)
    digest = hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()
    return directory.parent / "seeds" / digest if directory is not None else None
