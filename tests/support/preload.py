"""What warm processes have imported before they are forked (`tests.support.warm`): the libraries that the product uses.

The product's own modules are imported and forgotten again, so that each process imports them itself: what they read of the
environment when they are imported is what the process was given.
"""

import gc
import sys

import aiohttp.web  # noqa: F401 - the model server
import dagster._cli  # noqa: F401 - `dagster asset materialize` and its kin

import sdg_core.cli.main  # noqa: F401

for name in list(sys.modules):
    if name.partition(".")[0] in ("sdg_core", "sdg_assets"):
        del sys.modules[name]
gc.freeze()
