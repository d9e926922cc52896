"""What requests to a model have used. A run without models counts nothing, and knows of requests no more than this."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Counts that add up: requests sent (retries included), retries, and tokens as the server reports them.

    images: generated images, which are priced per image. repaired: cells whose reply was repaired JSON.
    """

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    images: int = 0
    repaired: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        theirs = vars(other)
        counts = {name: count + theirs[name] for name, count in vars(self).items()}
        return Usage(**counts)
