"""What tests of a dataset need in place of a model: real servers on this machine that answer, and misbehave, as they are told to.

`ModelServer` speaks OpenAI's API, `AnthropicServer` Anthropic's Messages; `serving` runs either beside a test that is not async.
Replies are a function of the prompt, so a test knows what a second run must produce, and each server counts what it was asked.
"""

from sdg_core.testing.anthropic_server import AnthropicServer
from sdg_core.testing.faulty_server import FaultyServer, answer_to
from sdg_core.testing.model_answers import tool_calls
from sdg_core.testing.model_faults import Fault, FaultKind, limited, status
from sdg_core.testing.model_server import ModelServer
from sdg_core.testing.serving import serving

__all__ = [
    "AnthropicServer",
    "Fault",
    "FaultKind",
    "FaultyServer",
    "ModelServer",
    "answer_to",
    "limited",
    "serving",
    "status",
    "tool_calls",
]
