"""Keeping the secrets of a ledger's URL out of messages."""

from collections.abc import Sequence


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """A driver's words without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
