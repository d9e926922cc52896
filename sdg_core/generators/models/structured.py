"""Values that satisfy a JSON schema. Keys that the schema does not name are left out; what it leaves open is JSON text."""

from dataclasses import replace

from sdg_core.config.columns import LlmStructuredColumn
from sdg_core.generators.models.chat import ChatGenerator, ModelBinding, ResponseSpec
from sdg_core.models import structured
from sdg_core.models.types import ChatResponse
from sdg_core.plan.types.json_schema import fit
from sdg_core.plan.types.replies import reply_schema, reply_shape


def structured_generator(
    column: LlmStructuredColumn, binding: ModelBinding
) -> ChatGenerator:
    """The generator of one `llm-structured` column."""
    schema = reply_schema(column)
    shape = reply_shape(column)

    def read(reply: ChatResponse) -> structured.Extracted:
        found = structured.extract_json(reply.text, finish_reason=reply.finish_reason)
        return replace(
            found, value=fit(structured.validate(found.value, schema), shape)
        )

    return ChatGenerator(column, binding, ResponseSpec(read, schema=schema))
