"""Imported by every interpreter that finds this directory in PYTHONPATH, when it starts."""

from tests.support.warm_spawn import install

install()
