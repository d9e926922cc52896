"""The former place of `reject_post_processed`, for projects that import it from here. Removed in 0.3."""

from sdg_assets.automation.sensors import reject_post_processed

__all__ = ["reject_post_processed"]
