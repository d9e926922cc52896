"""From a model column to its generator. The kinds that a dataset does not have are not imported."""

from typing import TYPE_CHECKING, assert_never

from sdg_core.config.columns import (
    ChatColumn,
    EmbeddingColumn,
    ImageColumn,
    LlmCodeColumn,
    LlmJudgeColumn,
    LlmStructuredColumn,
    LlmTextColumn,
)
from sdg_core.generators.models.chat import ChatGenerator, ModelBinding
from sdg_core.generators.models.conversation import limits_of
from sdg_core.generators.models.media import ImageStore
from sdg_core.models.pool import ModelPool
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.sampling.rng import RandomSource
from sdg_core.plan.types.replies import AnyModelColumn

if TYPE_CHECKING:
    from sdg_core.generators.models.embedding import EmbeddingGenerator
    from sdg_core.generators.models.image import ImageGenerator


def model_generator(
    plan: DatasetPlan,
    column: AnyModelColumn,
    *,
    models: ModelPool,
    images: ImageStore | None,
) -> "ChatGenerator | EmbeddingGenerator | ImageGenerator":
    """The generator of a model column."""
    model, provider = plan.models[column.model_alias]
    toolbox = None
    if isinstance(column, ChatColumn) and column.tool_alias is not None:
        toolbox = models.toolboxes[column.tool_alias]
    binding = ModelBinding(
        model=model,
        endpoint=models[column.model_alias],
        random=RandomSource(plan.config.seed),
        limits=limits_of(plan.config.run),
        simulated=provider.provider_type == "simulated",
        format_stops_tools=provider.provider_type == "openai",
        images=images,
        toolbox=toolbox,
    )
    match column:
        case LlmTextColumn():
            from sdg_core.generators.models.text import text_generator

            return text_generator(column, binding)
        case LlmCodeColumn():
            from sdg_core.generators.models.code import code_generator

            return code_generator(column, binding)
        case LlmStructuredColumn():
            from sdg_core.generators.models.structured import structured_generator

            return structured_generator(column, binding)
        case LlmJudgeColumn():
            from sdg_core.generators.models.judge import judge_generator

            return judge_generator(column, binding)
        case EmbeddingColumn():
            from sdg_core.generators.models.embedding import EmbeddingGenerator

            return EmbeddingGenerator(column, binding)
        case ImageColumn():
            from sdg_core.generators.models.image import ImageGenerator

            return ImageGenerator(column, binding)
        case _:
            assert_never(column)
