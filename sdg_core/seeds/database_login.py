"""Which logins of this machine a database gets whose URL a dataset file holds. A stranger's file may name a stranger's server.

Drivers look for passwords by themselves: libpq in PGPASSWORD and `~/.pgpass` (https://www.postgresql.org/docs/current/libpq-envars.html),
MySQL's library in MYSQL_PWD. They get them for this machine, for the host of PGHOST, and for hosts that the user's settings
allow for the variable. A URL from `url_env` is the user's own, and nothing is withheld from its host.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sdg_core.errors import SeedError
from sdg_core.plan.variables import SETTING, allowed_pairs, is_this_machine, may_be_sent

_LIBPQ = frozenset({"psycopg", "psycopg2", "psycopg2cffi"})
_READS_THIS_MACHINE = frozenset(
    {
        "passfile",
        "service",
        "servicefile",
        "gssdelegation",
        "read_default_file",
        "read_default_group",
        "option_files",
        "local_infile",
        "allow_local_infile",
        "allow_local_infile_in_path",
    }
)
"""Options of drivers that take logins or files of this machine and give them to the server."""


@dataclass(frozen=True)
class Login:
    """arguments: what the driver is given so that it looks for no login. withheld: the variable that it did not get, and from
    which host."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    withheld: tuple[str, str] | None = None

    @property
    def remedy(self) -> str | None:
        """What to do if the server wanted the login."""
        if self.withheld is None:
            return None
        variable, host = self.withheld
        return (
            f"passwords of this machine ({variable} and similar) are not sent to {host}, which the file "
            f"names; put the URL into a variable named by url_env, or allow the pair"
            f' in pyproject.toml ([tool.sdg] allow_variables = {{{variable} = ["{host}"]}}) or by '
            f'{SETTING}="{variable}={host}"'
        )


def login_for(url: sa.URL, *, env: Mapping[str, str], where: str) -> Login:
    """What the server of a URL that stands in a file may get. Raises SeedError for options that would hand out more."""
    for option in url.query:
        if option.lower() in _READS_THIS_MACHINE:
            raise SeedError(
                f"{where}.url: {option} gives the server logins or files of this machine, which a "
                f"dataset file may not do",
                remedy="put the URL into an environment variable and set url_env to its name",
            )
    driver = url.get_driver_name()
    if (
        driver not in _LIBPQ | {"mysqldb"}
        or url.password is not None
        or "password" in url.query
    ):
        return Login()
    variable = "PGPASSWORD" if driver in _LIBPQ else "MYSQL_PWD"
    allowed = allowed_pairs(env, Path.cwd())
    own = {env.get("PGHOST", ""), ""} if driver in _LIBPQ else {""}
    for host in hosts_of(url):
        is_near = host in own or host.startswith(("/", "@")) or is_this_machine(host)
        if not is_near and not may_be_sent(variable, host, allowed=allowed):
            nothing = (
                {"password": "", "passfile": os.devnull}
                if driver in _LIBPQ
                else {"password": ""}
            )
            return Login(nothing, (variable, host))
    return Login()


def hosts_of(url: sa.URL) -> list[str]:
    """Every host that a URL may lead to: options name further ones."""
    given = [url.host or ""] if "host" not in url.query else []
    for option in ("host", "hostaddr"):
        values = url.query.get(option, ())
        if isinstance(values, str):
            values = (values,)
        for value in values:
            given += [_without_port(host) for host in value.split(",")]
    return [host.lower().rstrip(".") for host in given]


def _without_port(host: str) -> str:
    """`name:5432`, as SQLAlchemy's lists of hosts have it."""
    name, _, port = host.rpartition(":")
    has_port = port.isdecimal() and host.count(":") == 1
    return name if has_port else host
