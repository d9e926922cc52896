"""Images: files beside the row groups, and in the cell their paths; base64 in the cell where nothing is stored (previews).

Files are durable before the cell counts as made, so a row group never names an image that is not there. A record that is made
again writes the same names again.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

from sdg_core.config.columns import ImageColumn
from sdg_core.errors import CellError, ReplyDeferredError
from sdg_core.generators.base import Cell, CellFailedError, DeferredCell
from sdg_core.generators.models.chat import ModelBinding, media_of
from sdg_core.models.endpoint import RequestFailedError
from sdg_core.models.types import ImagePart, ImageRequest, Message
from sdg_core.plan.sampling.rng import RecordChoices
from sdg_core.plan.templates.render import Template


class ImageGenerator:
    """The generator of one `image` column."""

    def __init__(self, column: ImageColumn, binding: ModelBinding) -> None:
        self._column = column
        self._binding = binding
        self._prompt = Template(column.prompt)

    async def generate(
        self, *, record: int, values: Mapping[str, Any]
    ) -> Cell | DeferredCell:
        """The images of one record. Raises CellError."""
        request = await self._request(record=record, values=values)
        alias = self._column.model_alias
        try:
            reply = await self._binding.endpoint.make_images(request)
        except ReplyDeferredError:
            return DeferredCell()
        except RequestFailedError as error:
            usage_by_alias = error.usage_by_alias(alias)
            raise CellFailedError(
                error.message,
                kind=error.kind,
                attempts=error.attempts,
                usage_by_alias=usage_by_alias,
            ) from error
        images = [image.content for image in reply.images]
        if self._binding.images is None:
            paths = [base64.b64encode(content).decode("ascii") for content in images]
        else:
            paths = await asyncio.to_thread(
                self._binding.images.save, self._column.name, record, images
            )
        return Cell(paths, usage_by_alias=reply.usage_by_alias(alias))

    def prompt(self, *, record: int, values: Mapping[str, Any]) -> tuple[Message, ...]:
        """What the image of a record is asked for with. Raises CellError."""
        return (Message("user", self._prompt.render(values, self._choices(record))),)

    async def prompt_in_loop(
        self, *, record: int, values: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """`prompt` for an event loop, which goes on while a large template is rendered."""
        text = await self._prompt.render_in_loop(values, self._choices(record))
        return (Message("user", text),)

    def _choices(self, record: int) -> RecordChoices | None:
        return self._binding.choices(self._prompt, self._column.name, record)

    async def _request(self, *, record: int, values: Mapping[str, Any]) -> ImageRequest:
        name = self._column.name
        context = media_of(self._column, values, self._binding.images)
        images = tuple(part for part in context if isinstance(part, ImagePart))
        if len(images) < len(context):
            raise CellError(
                "images are generated only from a prompt and images; multi_modal_context has other media"
            )
        prompt = await self._prompt.render_in_loop(values, self._choices(record))
        return ImageRequest(
            self._binding.model.model,
            prompt,
            self._binding.parameters(name, record),
            images,
            self._binding.seed(name, record),
        )
