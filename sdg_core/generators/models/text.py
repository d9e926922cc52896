"""Free text: the reply as it is."""

from sdg_core.config.columns import LlmTextColumn
from sdg_core.generators.models.chat import ChatGenerator, ModelBinding, ResponseSpec
from sdg_core.generators.models.conversation import UnusableResponseError
from sdg_core.models.structured import Extracted
from sdg_core.models.types import ChatResponse


def text_generator(column: LlmTextColumn, binding: ModelBinding) -> ChatGenerator:
    """The generator of one `llm-text` column."""
    return ChatGenerator(column, binding, ResponseSpec(_text))


def _text(reply: ChatResponse) -> Extracted:
    if not reply.text.strip():
        raise UnusableResponseError("it holds no text")
    return Extracted(reply.text)
