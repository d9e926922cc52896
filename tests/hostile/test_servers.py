"""What a server says reaches nothing that it should not: secrets it repeats, addresses it names, images that are none."""

import asyncio
import base64
import html
import json
import re
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from yarl import URL

from sdg_core import api
from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.config.seeds import HuggingFaceSeedSource, LocalSeedSource, SqlSeedSource
from sdg_core.config.sources import HubSources
from sdg_core.config.tools import HttpMcpProvider
from sdg_core.config.validators import RemoteParams
from sdg_core.errors import (
    ConfigError,
    HubError,
    LedgerError,
    ModelError,
    PermanentModelError,
    SeedError,
    StoreError,
    TransientModelError,
)
from sdg_core.ledger.database import open_ledger
from sdg_core.ledger.queries import open_existing_ledger
from sdg_core.models.providers.anthropic_wire import decode_message
from sdg_core.models.providers.http import HttpSender
from sdg_core.models.providers.http_errors import Caller
from sdg_core.models.providers.images import (
    PublicResolver,
    allowed_hosts,
    check_address,
    check_content,
)
from sdg_core.models.providers.openai import OpenAIClient
from sdg_core.models.providers.openai_wire import decode_reply
from sdg_core.models.types import ChatRequest, ImageRequest, Message
from sdg_core.processing.hub import Hub
from sdg_core.redaction import Redaction, is_unmistakable
from sdg_core.seeds.huggingface import find_files
from sdg_core.seeds.sql import fetch_table
from sdg_core.store.layout import VersionLayout
from sdg_core.store.objects import object_path
from sdg_core.testing import ModelServer
from sdg_core.testing.model_answers import PNG
from tests.support import hub_server
from tests.support.requirements import PATIENCE, require_module
from tests.support.sdg import (
    category,
    dataset_config,
    object_of,
    structured,
)

KEY = 'sk-live-4711/Zq"x'


@given(
    st.recursive(
        st.sampled_from([KEY, f"a {KEY} b", "plain", 7, None, "é\n"]),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from([KEY, "k"]), inner, max_size=2),
        ),
        max_leaves=6,
    ),
    st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}]),
    st.booleans(),
)
def test_a_secret_is_taken_out_of_an_answer_however_it_is_written(
    value: Any, form: dict[str, Any], escaped: bool
) -> None:
    body = json.dumps({"value": value}, **form)
    if escaped:
        body = body.replace("s", "\\u0073").replace("/", "\\/")
    made = json.loads(Redaction({KEY: "[API key]"}).body(body.encode()))
    plain = json.dumps({"value": value}).replace(json.dumps(KEY)[1:-1], "[API key]")
    assert made == json.loads(plain)


JSON_IN_JSON = json.dumps({"key": KEY}).replace("/", "\\/")
IN_OTHER_FORMS = {
    "JSON in JSON": JSON_IN_JSON,
    "JSON in JSON in JSON": json.dumps(JSON_IN_JSON),
    "escaped in JSON in JSON": "".join(f"\\u{ord(character):04X}" for character in KEY),
    "URL": quote(KEY, safe=""),
    "every letter, as in a URL": "".join(f"%{octet:02x}" for octet in KEY.encode()),
    "URL in a URL": quote(quote(KEY, safe=""), safe=""),
    "HTML": html.escape(KEY),
    "entities": "".join(f"&#{ord(character)};" for character in KEY),
    "hexadecimal entities": "".join(f"&#x{ord(character):X};" for character in KEY),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "login": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "bearer in base64": base64.urlsafe_b64encode(f"Bearer {KEY}".encode()).decode(),
    "hexadecimal": KEY.encode().hex(),
}


def spelt_out(text: str) -> str:
    """The text after all decoding."""
    for _ in range(4):
        text = html.unescape(unquote(text)).replace("\\/", "/").replace('\\"', '"')
        text = re.sub(
            r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text
        )
    return text


@pytest.mark.parametrize("form", IN_OTHER_FORMS)
@pytest.mark.parametrize("around", ["{}", "the key is {}, or so", 'x\\"{}"\\n{}'])
def test_a_secret_is_taken_out_in_whatever_form_a_server_repeats_it(
    form: str, around: str
) -> None:
    redaction = Redaction({KEY: "[API key]"})
    body = json.dumps(
        {"a": around.replace("{}", IN_OTHER_FORMS[form]), "b": [1]}
    ).encode()
    answer = json.loads(redaction.body(body))
    plain = redaction.text(around.replace("{}", IN_OTHER_FORMS[form]))
    assert answer["b"] == [1] and "[API key]" in answer["a"] and "[API key]" in plain
    for shown in (answer["a"], plain):
        assert "live" not in spelt_out(shown)
        assert IN_OTHER_FORMS[form][4:-4] not in shown


def test_a_long_answer_is_searched_to_its_end() -> None:
    """In pieces, of which each is searched with what follows it."""
    written = IN_OTHER_FORMS["URL in a URL"].encode()
    length = 2**18
    body = (b"%25" * length)[: length - 9] + written + b"x" * length + written
    assert Redaction({KEY: "[API key]"}).body(body).count(b"[API key]") == 2


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_a_secret_that_comes_in_several_parts_is_none_of_the_text(api: str) -> None:
    caller = Caller("p", "http://x", "MY_KEY", KEY)
    parts = [{"type": "text", "text": text} for text in ("so: ", KEY[:9], KEY[9:])]
    if api == "anthropic":
        body = json.dumps({"content": parts, "stop_reason": "end_turn"}).encode()
        request = ChatRequest("m", (Message("user", "x"),), InferenceParameters())
        reply = decode_message(body, request, caller=caller)
    else:
        body = json.dumps({"choices": [{"message": {"content": parts}}]}).encode()
        reply = decode_reply(body, caller=caller, model="m")
    assert reply.text == "so: [API key]"


def test_words_that_local_servers_take_for_a_key_stay_in_replies() -> None:
    for word in (
        "EMPTY",
        "none",
        "test",
        "ollama",
        "lm-studio",
        "not-needed",
        "dummy",
        "placeholder",
    ):
        assert not is_unmistakable(word)
        assert (
            Redaction({word: "[API key]"}).body(f'"{word}"'.encode())
            == f'"{word}"'.encode()
        )
    assert all(map(is_unmistakable, ("sk-abc123", "secret-key", "s3cret", "a" * 32)))
    assert (
        Redaction({"EMPTY": "[API key]"}).text("EMPTY") == "[API key]"
    )  # an error may be shown anywhere


async def test_a_reply_that_repeats_the_key_leaves_no_trace_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    async with ModelServer(
        message=lambda body: {
            "role": "assistant",
            "content": f"{{'key': {KEY}}}",
            "refusal": None,
        }
    ) as server:
        config = dataset_config(
            category("plan", "a"),
            {
                "column_type": "llm-text",
                "name": "t",
                "prompt": "{{ plan }}",
                "model_alias": "w",
            },
            structured("s", "{{ plan }}", object_of(a="integer"), model_alias="w"),
        )
        config |= {
            "num_records": 2,
            "model_providers": [
                {"name": "p", "endpoint": server.url, "api_key": "MY_KEY"}
            ],
            "model_configs": [{"alias": "w", "model": "m", "provider": "p"}],
            "run": {"num_retries": 0, "max_failure_rate": 1.0},
        }
        dataset = api.open_dataset(config, root=str(tmp_path))
        await asyncio.to_thread(api.generate, dataset)
    assert server.requests, "nothing was asked"
    found = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and b"sk-live-4711" in path.read_bytes()
    ]
    assert found == []
    failures = next(tmp_path.rglob("failures/*.jsonl")).read_text()
    assert "[API key]" in failures
    output = capfd.readouterr()
    assert "sk-live" not in output.out + output.err


ENDPOINT = URL("https://api.example.com/v1")


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:9000/latest/meta-data/iam"),
        ("http://127.0.0.1:8000/v1", "http://localhost:8000/x.png"),
        ("http://gpu-box:8000/v1", "http://gpu-box:9000/x.png"),
        ("https://api.example.com/v1", "http://169.254.169.254/latest/meta-data"),
        ("https://api.example.com/v1", "http://[::1]/x.png"),
        ("https://api.example.com/v1", "http://2130706433/x.png"),
        ("https://api.example.com/v1", "http://evil.com/x.png"),
        ("https://api.example.com/v1", "http://api.example.com.evil.com/x.png"),
        ("https://api.example.com/v1", "http://api.example.com@evil.com/x.png"),
        ("https://api.example.com/v1", "file:" + "///etc/passwd"),
        ("https://api.example.com/v1", "ftp://api.example.com/x.png"),
        ("https://api.example.com/v1", "//evil.com/x.png"),
        ("https://api.example.com/v1", "no url"),
        ("https://8.8.8.8/v1", "https://8.8.8.8:22/x"),
    ],
)
def test_addresses_that_a_server_may_not_name(endpoint: str, address: str) -> None:
    with pytest.raises(PermanentModelError):
        check_address(
            address,
            endpoint=URL(endpoint),
            env={"SDG_ALLOW_IMAGE_HOSTS": "cdn.example.com"},
        )


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/image.png"),
        ("http://gpu-box:8000/v1", "http://gpu-box:8000/x.png"),
        (
            "https://api.example.com/v1",
            "https://api.example.com:8443/files/x.png?sig=a%2Bb",
        ),
        (
            "https://api.openai.com/v1",
            "https://oaidalleapiprodscus.blob.core.windows.net/private/x.png",
        ),
        ("https://api.example.com/v1", "https://cdn.example.com/x.png"),
        ("https://api.example.com/v1", "https://a.images.example.com/x.png"),
    ],
)
def test_addresses_that_go_with_an_endpoint(endpoint: str, address: str) -> None:
    env = {"SDG_ALLOW_IMAGE_HOSTS": "cdn.example.com *.images.example.com"}
    assert str(check_address(address, endpoint=URL(endpoint), env=env)) == address


def test_hosts_that_are_allowed_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.sdg]\nallow_image_hosts = ["CDN.example.com", 7]\n'
    )
    assert allowed_hosts({"SDG_ALLOW_IMAGE_HOSTS": "a b"}, tmp_path) == (
        "cdn.example.com",
        "a",
        "b",
    )
    (tmp_path / "pyproject.toml").write_text("[tool.sdg]\nallow_image_hosts = 7\n")
    assert allowed_hosts({}, tmp_path) == ()


def test_hosts_that_are_allowed_by_the_former_names(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.sdg]\nallow_picture_hosts = "a.example.com"\n'
    )
    former = {"SDG_ALLOW_PICTURE_HOSTS": "b.example.com"}
    assert allowed_hosts(former, tmp_path) == ("a.example.com", "b.example.com")


async def test_a_name_that_leads_to_this_network_is_not_followed() -> None:
    with pytest.raises(OSError, match="private addresses only"):
        await PublicResolver().resolve("localhost", 80)


async def test_another_port_of_a_name_that_leads_here_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a name leads to shows only when it is resolved."""

    async def resolved(self: object, host: str, port: int = 0, family: int = 0) -> Any:
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": 2,
                "proto": 0,
                "flags": 0,
            }
        ]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolved)
    async with ModelServer() as other:
        provider = ModelProvider(name="p", endpoint="http://gateway.example:1/v1")
        sender = HttpSender(
            provider, URL("http://gateway.example:1/v1"), headers={}, api_key=None
        )
        address = other.url.replace("127.0.0.1", "gateway.example")
        with pytest.raises(TransientModelError, match="private addresses only"):
            await sender.fetch(f"{address}/models", model="m", timeout=PATIENCE)
        await sender.aclose()
    assert other.checks == 0


async def test_an_image_elsewhere_is_not_asked_for() -> None:
    async with (
        ModelServer() as other,
        ModelServer(message=lambda body: answer) as server,
    ):
        answer = {
            "role": "assistant",
            "content": "",
            "images": [{"image_url": {"url": f"{other.url}/models"}}],
        }
        client = OpenAIClient(
            ModelProvider(name="p", endpoint=server.url), api_key=None
        )
        request = ImageRequest(
            "some-chat-model", "x", InferenceParameters(generation_type="image")
        )
        with pytest.raises(PermanentModelError, match="another host"):
            await client.make_images(request)
        await client.aclose()
    assert other.checks == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    ],
)
async def test_a_server_that_answers_what_is_not_http_is_there(answer: bytes) -> None:
    """Its replies may be sound: they are judged by themselves, and what is wrong with them is said as it is."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = OpenAIClient(
            ModelProvider(name="p", endpoint=f"http://127.0.0.1:{port}/v1"),
            api_key=None,
        )
        await client.check()
        request = ChatRequest("m", (Message("user", "x"),), InferenceParameters())
        with pytest.raises(
            TransientModelError, match="returned an invalid HTTP response"
        ):
            await client.chat(request)
        await client.aclose()


JPEG = b"\xff\xd8\xff\xe0" + b"x" * 40 + b"\xff\xd9"
WEBP = b"RIFF" + (20).to_bytes(4, "little") + b"WEBP" + b"x" * 16
SVG = b'<?xml version="1.0"?><svg xmlns="x"></svg>\n'


@pytest.mark.parametrize(
    "content",
    [PNG, JPEG, WEBP, SVG, b" \n" * 500 + SVG, b"GIF89a....;", JPEG + b"\0" * 9],
)
def test_images(content: bytes) -> None:
    check_content(content, where="x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"secret",
        PNG[:-8],
        PNG[:60],
        JPEG[:-1],
        WEBP[:-1],
        SVG[:30],
        b"GIF89a....",
        b"RIFF1234WAVE",
        b"\x89PNG\r\n\x1a\nIEND\xaeB`\x82",
        PNG[:40] + b"IEND\xaeB`\x82",
        b"\0\0\0\x18ftypmp42" + b"\0" * 64,
        b"soo ftyp of error",
        b'<?xml version="1.0"?><html><svg width="1"></svg></html>',
        b"<svg ></svg><html></html>",
        b"%PDF-1.7",
    ],
)
async def test_what_is_no_image(content: bytes) -> None:
    with pytest.raises(TransientModelError, match="not an image|too early"):
        check_content(content, where="x")
    data = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    async with ModelServer(
        message=lambda body: {
            "role": "assistant",
            "content": "",
            "images": [{"image_url": {"url": data}}],
        }
    ) as server:
        client = OpenAIClient(
            ModelProvider(name="p", endpoint=server.url), api_key=None
        )
        with pytest.raises(ModelError):
            await client.make_images(
                ImageRequest(
                    "some-chat-model", "x", InferenceParameters(generation_type="image")
                )
            )
        await client.aclose()


def test_a_ledger_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(b"garbage " * 2_000)
    with pytest.raises(LedgerError, match=r"x\.db: file is not a database"):
        open_existing_ledger(f"sqlite:///{file}", directory=tmp_path)


def test_a_url_that_is_none_is_said_to_be_of_its_variable(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="SDG_LEDGER_URL") as raised:
        open_ledger("secret-without-a-scheme", root=tmp_path)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://u@127.0.0.1:1/x?password=hunter22secret",
        "postgresql+psycopg2://u:hunter22secret@127.0.0.1:1/x",
        "postgresql+psycopg2://u@127.0.0.1:1/x?sslpassword=hunter22secret&nonsense=hunter22secret",
        "nosuch://u:hunter22secret@h/x?a=hunter22secret",
        "postgresql://u:hunter22secret@h:port/x",
    ],
)
def test_no_message_shows_a_password_of_the_ledger(url: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerError) as caught:
        open_ledger(url, root=tmp_path)
    assert "hunter" not in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize(
    "url",
    [
        "s3://k:hunter22@b/x",
        "s3://b/x?secret=hunter22",
        "https://u:hunter22@h",
        "gs://k:hunter22@b",
    ],
)
def test_no_message_shows_a_secret_of_a_root(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        object_path(url)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter22@example.com/x",
        "https://example.com/x?token=hunter22",
        "https://example.com/x?a=1&X-Api-Key=hunter22",
        "https://example.com/x#key=hunter22",
    ],
)
def test_no_address_in_a_file_holds_a_secret(url: str) -> None:
    for made in (
        lambda: RemoteParams(endpoint_url=url),
        lambda: ModelProvider(name="p", endpoint=url),
        lambda: HttpMcpProvider(name="m", provider_type="sse", endpoint=url),
        lambda: HuggingFaceSeedSource(path="datasets/a/b/c.csv", endpoint=url),
        lambda: HubSources(reader="hf", path="datasets/a/b/c.csv", endpoint=url),
        lambda: LocalSeedSource(path=url),
        lambda: LocalSeedSource(path=("a.csv", url)),
    ):
        with pytest.raises(ValidationError) as caught:
            made()
        assert not [
            problem for problem in caught.value.errors() if "hunter22" in problem["msg"]
        ]


@pytest.mark.parametrize(
    "path", ["s3://k:hunter22@b/x.csv", ["a.csv", "https://u:hunter22@h/x"]]
)
def test_an_address_in_place_of_a_path_is_not_repeated(
    path: Any, tmp_path: Path
) -> None:
    source = {"seed_type": "local", "path": path}
    config = dataset_config(category("plan", "a")) | {"seed_config": {"source": source}}
    with pytest.raises(ConfigError, match="not a local path") as caught:
        api.open_dataset(config, root=tmp_path)
    assert "hunter22" not in str(caught.value)


def test_an_at_sign_in_a_password_of_a_database_is_not_taken_for_a_host(
    tmp_path: Path,
) -> None:
    url = "postgresql+psycopg2://u:hunter@22secret@127.0.0.1:1/x"
    with pytest.raises(LedgerError, match="write %40") as refused:
        open_ledger(url, root=tmp_path)
    assert "22secret" not in str(refused.value)
    source = SqlSeedSource(url_env="MY_URL", query="SELECT 1 ORDER BY 1")
    with pytest.raises(SeedError, match="write %40") as caught:
        fetch_table(source, base=tmp_path, root="", env={"MY_URL": url})
    assert "22secret" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["user:hunter22@proxy:3128", "http://u:hunter22@[x", "hunter22"]
)
async def test_a_proxy_that_is_none_is_not_repeated(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
    client = OpenAIClient(
        ModelProvider(name="p", endpoint="http://llm.example/v1"), api_key=None
    )
    with pytest.raises(PermanentModelError, match="HTTP_PROXY") as caught:
        await client.check()
    assert "hunter22" not in str(caught.value)
    await client.aclose()


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_hub_that_repeats_the_token(tmp_path: Path) -> None:
    require_module("huggingface_hub")
    with hub_server.serving(tmp_path) as server:
        server.repeats_token = True
        source = HuggingFaceSeedSource(
            path="datasets/u/d/c.csv", endpoint=server.url, token="MY_KEY"
        )
        with pytest.raises(SeedError) as of_seed:
            find_files(source, env={"MY_KEY": KEY})
        (tmp_path / "README.md").write_text("x")
        with pytest.raises(HubError) as of_push:
            hub = Hub("u/d", endpoint=server.url, token=KEY)
            hub.push(hub.plan(VersionLayout(tmp_path), []), private=True, message="x")
        assert server.requests
    for caught in (of_seed, of_push):
        shown = "".join(traceback.format_exception(caught.value))
        assert "403" in shown and "sk-live" not in shown


@pytest.mark.parametrize(
    "name", ["key", "api-key", "X_API_KEY", "access_token", "Password", "sig"]
)
def test_an_endpoint_has_no_secret_among_its_parameters(name: str) -> None:
    with pytest.raises(ValueError, match="holds a secret"):
        ModelProvider(name="p", endpoint=f"http://127.0.0.1/v1?{name}=hidden-4711")
    ModelProvider(
        name="p", endpoint="http://127.0.0.1/v1?api-version=2024-10-21&monkey=1"
    )
