"""Values that satisfy a JSON schema. Keys that the schema does not name are left out; what it leaves open is JSON text."""

from typing import Any

from sdg_core.config.columns import LlmStructuredColumn
from sdg_core.generators.asking import Asked, ChatGenerator, Wanted
from sdg_core.models import structured
from sdg_core.models.types import ChatReply
from sdg_core.plan.json_schema_types import fit
from sdg_core.plan.model_columns import reply_schema, reply_shape


def structured_generator(column: LlmStructuredColumn, asked: Asked) -> ChatGenerator:
    """The generator of one `llm-structured` column."""
    schema, shape = reply_schema(column), reply_shape(column)

    def read(reply: ChatReply) -> Any:
        return fit(structured.parse(reply, schema), shape)

    return ChatGenerator(column, asked, Wanted(read, schema=schema))
