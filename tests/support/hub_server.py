"""A stand-in for the Hugging Face hub: one dataset repository, `u/d`, served from a directory to who has the token."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

TOKEN = "sesame"


class HubServer(ThreadingHTTPServer):
    """Counts requests and the bytes of files that it has served."""

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.directory, self.requests, self.bytes_served = directory, 0, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(directory: Path) -> Iterator[HubServer]:
    with HubServer(directory) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests += 1
        path = self.path.partition("?")[0]
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "RepoNotFound")
        elif re.fullmatch(r"/api/datasets/u/d(/revision/[^/]+)?", path):
            self._json({"id": "u/d", "sha": "a" * 40, "private": True, "tags": [], "siblings": [], "downloads": 0})
        elif match := re.fullmatch(r"/api/datasets/u/d/tree/[^/]+/?(.*)", path):
            self._tree(self.server.directory / match[1], recursive="recursive=true" in self.path.lower())
        elif match := re.fullmatch(r"/datasets/u/d/resolve/[^/]+/(.+)", path):
            self._file(self.server.directory / match[1])
        else:
            self._refuse(404, "RepoNotFound")

    def _tree(self, folder: Path, *, recursive: bool) -> None:
        if not folder.is_dir():
            self._refuse(404, "EntryNotFound")
            return
        paths = sorted(folder.rglob("*") if recursive else folder.iterdir())
        self._json([_entry(path, path.relative_to(self.server.directory).as_posix()) for path in paths])

    def _file(self, path: Path) -> None:
        content = path.read_bytes()
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        part = content[int(span[1]) : int(span[2] or len(content) - 1) + 1] if span else content
        self.send_response(206 if span else 200)
        if span:
            end = int(span[1]) + len(part) - 1
            self.send_header("Content-Range", f"bytes {span[1]}-{end}/{len(content)}")
        self._body(part)
        self.server.bytes_served += len(part)

    def _json(self, value: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self._body(json.dumps(value).encode())

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self._body(b'{"error": "refused"}')

    def _body(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _entry(path: Path, name: str) -> dict[str, Any]:
    if path.is_dir():
        return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    large = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    entry = {"type": "file", "oid": blob, "size": len(content), "path": name}
    return {**entry, "lfs": large} if path.suffix == ".parquet" else entry
