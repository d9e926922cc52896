"""A stand-in for the Hugging Face hub: one dataset repository, `u/d`, served from a directory to those who have the token.

Uploads go the way of the real hub without Xet: preupload, LFS batch, PUT of what it does not have, commit.
"""

import base64
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
    """Counts requests and the bytes of files that it has served.

    exists: whether there is the repository; `created` is what it was asked for with. commits: the paths that each changed.
    stored: large files by their sha256, uploaded or committed. accepts: how many more large files it takes before it refuses.
    repeats_token: whether a refusal repeats what the request was signed with.
    """

    def __init__(self, directory: Path, *, exists: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.directory, self.requests, self.bytes_served = directory, 0, 0
        self.exists = exists
        self.created: dict[str, Any] = {}
        self.commits: list[list[str]] = []
        self.stored: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.accepts = 10**6
        self.repeats_token = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(directory: Path, *, exists: bool = True) -> Iterator[HubServer]:
    with HubServer(directory, exists=exists) as server:
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
        elif not self.server.exists:
            self._refuse(404, "RepoNotFound")
        elif re.fullmatch(r"/api/datasets/u/d(/revision/[^/]+)?", path):
            self._json(
                {
                    "id": "u/d",
                    "sha": "a" * 40,
                    "private": True,
                    "tags": [],
                    "siblings": [],
                    "downloads": 0,
                }
            )
        elif match := re.fullmatch(r"/api/datasets/u/d/tree/[^/]+/?(.*)", path):
            self._tree(
                self.server.directory / match[1],
                recursive="recursive=true" in self.path.lower(),
            )
        elif match := re.fullmatch(r"/datasets/u/d/resolve/[^/]+/(.+)", path):
            self._file(self.server.directory / match[1])
        else:
            self._refuse(404, "RepoNotFound")

    def do_POST(self) -> None:
        self.server.requests += 1
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "RepoNotFound")
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self.server.exists, self.server.created = True, json.loads(body)
            self._json({"url": f"{self.server.url}/datasets/u/d", "name": "u/d"})
        elif path == "/api/datasets/u/d/preupload/main":
            self._json(
                {"files": [_mode(file["path"]) for file in json.loads(body)["files"]]}
            )
        elif path == "/datasets/u/d.git/info/lfs/objects/batch":
            self._json(
                {
                    "transfer": "basic",
                    "objects": [
                        self._wanted(item) for item in json.loads(body)["objects"]
                    ],
                }
            )
        elif path == "/api/datasets/u/d/commit/main":
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._refuse(404, "RepoNotFound")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.accepts == 0:
            self._refuse(403, "Forbidden")
            return
        self.server.accepts -= 1
        self.server.uploads.append(self.path.rpartition("/")[2])
        self.server.stored[hashlib.sha256(content).hexdigest()] = content
        self._json({})

    def _wanted(self, item: dict[str, Any]) -> dict[str, Any]:
        if item["oid"] in self.server.stored:
            return item
        return {
            **item,
            "actions": {"upload": {"href": f"{self.server.url}/upload/{item['oid']}"}},
        }

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        changed = []
        for line in lines[1:]:
            value = line["value"]
            path = self.server.directory / value["path"]
            changed.append(value["path"])
            if line["key"] == "deletedFile":
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            is_small = line["key"] == "file"
            path.write_bytes(
                base64.b64decode(value["content"])
                if is_small
                else self.server.stored[value["oid"]]
            )
        self.server.commits.append(changed)
        self._json(
            {
                "commitUrl": f"{self.server.url}/datasets/u/d/commit/{'a' * 40}",
                "commitOid": "a" * 40,
            }
        )

    def _tree(self, folder: Path, *, recursive: bool) -> None:
        if not folder.is_dir():
            self._refuse(404, "EntryNotFound")
            return
        paths = sorted(folder.rglob("*") if recursive else folder.iterdir())
        self._json(
            [
                _entry(path, path.relative_to(self.server.directory).as_posix())
                for path in paths
            ]
        )

    def _file(self, path: Path) -> None:
        content = path.read_bytes()
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        part = (
            content[int(span[1]) : int(span[2] or len(content) - 1) + 1]
            if span
            else content
        )
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
        if self.server.repeats_token:
            status, code = 403, "Forbidden"
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        if self.server.repeats_token:
            self.send_header(
                "X-Error-Message", f"refused: {self.headers.get('Authorization')}"
            )
        self._body(b'{"error": "refused"}')

    def _body(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _mode(name: str) -> dict[str, Any]:
    return {
        "path": name,
        "uploadMode": "lfs" if name.endswith(".parquet") else "regular",
        "shouldIgnore": False,
    }


def _entry(path: Path, name: str) -> dict[str, Any]:
    if path.is_dir():
        return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    large = {
        "oid": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "pointerSize": 130,
    }
    entry = {"type": "file", "oid": blob, "size": len(content), "path": name}
    return {**entry, "lfs": large} if path.suffix == ".parquet" else entry
