"""A real HTTP server that speaks S3, kept in this process, and buckets in it.

It serves one request at a time as far as conditions on a put go, so it proves nothing about races; `tests.support.ceph` does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from tests.support.requirements import require_module

ACCESS_KEY, SECRET_KEY = "testing", "a-secret-of-tests"


@dataclass(frozen=True)
class S3Server:
    """A running server. `env` is what a client needs in its environment."""

    url: str

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "3",
        }

    def new_root(self) -> str:
        """The URL of an empty prefix in a bucket of its own."""
        import boto3

        bucket = f"b-{uuid4().hex[:12]}"
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=bucket)
        return f"s3://{bucket}/some/prefix"


@contextmanager
def s3_server(port: int = 0) -> Iterator[S3Server]:
    """A server on this port, or on a free one. Skips where there is none to start, or no client.

    What it holds outlives it: one that is started later in this process has it, too.
    """
    require_module("moto")
    require_module("obstore")
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        host, chosen = server.get_host_and_port()
        yield S3Server(f"http://{host}:{chosen}")
    finally:
        server.stop()
