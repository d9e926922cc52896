"""Free text: the reply as it is."""

from sdg_core.config.columns import LlmTextColumn
from sdg_core.generators.asking import Asked, ChatGenerator, Wanted
from sdg_core.generators.conversation import UnusableReplyError
from sdg_core.models.types import ChatReply


def text_generator(column: LlmTextColumn, asked: Asked) -> ChatGenerator:
    """The generator of one `llm-text` column."""
    return ChatGenerator(column, asked, Wanted(_text))


def _text(reply: ChatReply) -> str:
    if not reply.text:
        raise UnusableReplyError("it holds no text")
    return reply.text
