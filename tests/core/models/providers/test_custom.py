"""Clients of the user: named in the file or passed in Python, behind the same retries and checks as ours."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.errors import (
    ConfigError,
    PermanentModelError,
    RateLimitedError,
    TransientModelError,
)
from sdg_core.models.providers.custom import CustomClient
from sdg_core.models.types import (
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    ImageRequest,
    Message,
)
from sdg_core.models.usage import Usage
from tests.support.sdg import (
    dataset_config,
    llm,
    object_of,
    open_dataset,
    sdg,
    stored_records,
    structured,
    uuid,
)

PROVIDER = ModelProvider(name="mine", provider_type="custom")
REQUEST = ChatRequest("m", (Message("user", "hello"),), InferenceParameters())
SOURCE = """\
class Parrot:
    async def complete(self, request):
        return "you said: " + request.messages[-1].text
"""


class Answering:
    """Gives or raises one thing after the other, the last one for all that follow."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.requests, self.closed = answers, [], False  # type: ignore[var-annotated]

    async def complete(self, request: ChatRequest) -> Any:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


def config(
    *columns: dict[str, Any], client: str | None = None, **top: Any
) -> dict[str, Any]:
    provider = {
        "name": "mine",
        "provider_type": "custom",
        **({"client": client} if client else {}),
    }
    made = dataset_config(llm("unused", "x"), model_providers=[provider], num_records=3)
    made["model_configs"][0]["provider"] = "mine"
    return {**made, "columns": list(columns) or [uuid(), llm("it", "{{ id }}")], **top}


async def test_text_is_a_reply_of_one_request() -> None:
    assert await CustomClient(PROVIDER, Answering("hi")).chat(REQUEST) == ChatResponse(
        "hi", "stop", Usage(requests=1)
    )
    counted = ChatResponse("hi", "length", Usage(prompt_tokens=3))
    reply = await CustomClient(PROVIDER, Answering(counted)).chat(REQUEST)
    assert reply.finish_reason == "length" and reply.usage == Usage(
        requests=1, prompt_tokens=3
    )


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (RateLimitedError("slow down", retry_after=1), RateLimitedError),
        (TransientModelError("later"), TransientModelError),
        (PermanentModelError("never"), PermanentModelError),
        (ConnectionResetError("gone"), TransientModelError),
        (TimeoutError("late"), TransientModelError),
        (KeyError("choices"), PermanentModelError),
        ("", TransientModelError),
        ({"text": "hi"}, PermanentModelError),
    ],
)
async def test_what_goes_wrong_is_classified(
    raised: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await CustomClient(PROVIDER, Answering(raised)).chat(REQUEST)


async def test_a_client_that_takes_too_long_is_given_up() -> None:
    class Sleeper:
        async def complete(self, request: ChatRequest) -> str:
            await asyncio.sleep(600)
            return ""

    request = ChatRequest("m", (), InferenceParameters(timeout=0.05))
    with pytest.raises(
        TransientModelError,
        match="Sleeper of provider 'mine' gave no answer within 0.05 s",
    ):
        await CustomClient(PROVIDER, Sleeper).chat(request)


async def test_what_a_client_has_not_got_it_cannot_do() -> None:
    client = CustomClient(PROVIDER, Answering("x"))
    with pytest.raises(PermanentModelError, match="does not provide embeddings"):
        await client.embed(
            EmbeddingRequest(
                "m", ("x",), InferenceParameters(generation_type="embedding")
            )
        )
    with pytest.raises(PermanentModelError, match="does not generate images"):
        await client.make_images(
            ImageRequest("m", "x", InferenceParameters(generation_type="image"))
        )


async def test_a_class_gets_its_provider_and_an_object_is_left_open() -> None:
    class Told:
        def __init__(self, provider: ModelProvider) -> None:
            self.name = provider.name

        async def complete(self, request: ChatRequest) -> str:
            return self.name

    assert (await CustomClient(PROVIDER, Told).chat(REQUEST)).text == "mine"
    given = Answering("x")
    await CustomClient(PROVIDER, given).aclose()
    assert not given.closed

    def broken() -> None:
        raise OSError("no licence")

    failing = type("Failing", (), {"__init__": lambda self: broken(), "complete": None})
    with pytest.raises(
        PermanentModelError,
        match="Failing of provider 'mine' cannot be created: OSError: no licence",
    ):
        CustomClient(PROVIDER, failing)


async def test_a_client_passed_in_python_is_retried_and_counted(tmp_path: Path) -> None:
    given = Answering(
        RateLimitedError("slow down", retry_after=0),
        ConnectionResetError("gone"),
        "fine",
    )
    dataset = open_dataset(
        tmp_path / "t.yaml", config(), root=tmp_path / "root", clients={"mine": given}
    )
    summary = await api.agenerate(dataset)
    assert {record["it"] for record in stored_records(summary.version).values()} == {
        "fine"
    }
    usage = api.status(dataset).usage["writer"]
    assert usage["requests"] == len(given.requests) == 5 and usage["retries"] == 2


async def test_structure_is_asked_for_in_words_and_corrected(tmp_path: Path) -> None:
    column = structured("it", "How many?", object_of(n="integer"))
    given = Answering("five", '{"n": "five"}', '{"n": 5}')
    dataset = open_dataset(
        tmp_path / "t.yaml",
        config(column, num_records=1),
        root=tmp_path / "r",
        clients={"mine": given},
    )
    summary = await api.agenerate(dataset)
    assert stored_records(summary.version)[0]["it"] == {"n": 5}
    first, second, third = given.requests
    assert (
        first.response_schema == column["output_format"]
        and second.response_schema is None
    )
    assert "<response_schema>" in second.messages[0].text and len(third.messages) == 3


def test_a_class_named_in_the_file_is_loaded_and_its_source_counts(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own.py"
    prints = []
    for source in (
        SOURCE,
        f"# more\n\n{SOURCE}",
        SOURCE.replace("you said", "I heard"),
    ):
        own.write_text(source, encoding="utf-8")
        dataset = open_dataset(
            tmp_path / "t.yaml",
            config(client="./own.py:Parrot"),
            root=tmp_path / "root",
        )
        prints.append(dataset.plan.fingerprint.config_hash)
    assert prints[0] == prints[1] != prints[2]
    outcome = sdg("generate", tmp_path / "t.yaml", "--root", tmp_path / "root")
    assert outcome.returncode == 0, outcome.stderr
    records = stored_records(dataset.layout.version(dataset.plan.fingerprint.version))
    assert (
        all(record["it"] == f"I heard: {record['id']}" for record in records.values())
        and len(records) == 3
    )
    assert not dataset.plan.simulated


def test_the_provider_of_a_client_passed_in_python_counts_by_name(
    tmp_path: Path,
) -> None:
    opened = [
        open_dataset(
            tmp_path / "t.yaml",
            config(),
            root=tmp_path / "root",
            clients={"mine": client},
        )
        for client in (Answering("a"), Answering("b"), Answering)
    ]
    assert len({dataset.plan.fingerprint.config_hash for dataset in opened}) == 1


@pytest.mark.parametrize(
    ("client", "given", "message"),
    [
        (
            None,
            {},
            "model_providers[0].client: a custom provider needs a client: write client: module:Class",
        ),
        ("Parrot", {}, "client 'Parrot' is not a class: write client: module:Class"),
        ("./own.py:Parot", {}, "./own.py has no class 'Parot'; did you mean 'Parrot'?"),
        ("./none.py:Parrot", {}, "./none.py does not exist"),
        ("./own.py:Mute", {}, "Mute has no method `async def complete(self, request)`"),
        (
            "./own.py:Parrot",
            {"other": Answering},
            "clients has 'other', which is not a provider of provider_type: custom",
        ),
    ],
)
def test_what_is_wrong_with_a_client_is_told_when_the_file_is_opened(
    tmp_path: Path, client: str | None, given: dict[str, Any], message: str
) -> None:
    (tmp_path / "own.py").write_text(
        f"{SOURCE}\nclass Mute:\n    pass\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError) as error:
        open_dataset(
            tmp_path / "t.yaml",
            config(client=client),
            root=tmp_path / "root",
            clients=given,
        )
    assert message in str(error.value)


def test_client_goes_with_custom_only(tmp_path: Path) -> None:
    provider = {"name": "mine", "provider_type": "simulated", "client": "m:C"}
    with pytest.raises(
        ConfigError, match="client is valid only with provider_type: custom"
    ):
        open_dataset(
            tmp_path / "t.yaml",
            config(model_providers=[provider]),
            root=tmp_path / "root",
        )
