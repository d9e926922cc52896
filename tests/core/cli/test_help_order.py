"""`sdg --help` lists commands in the order in which people need them."""

import re

from tests.support.sdg import sdg

ORDER = [
    "init",
    "validate",
    "preview",
    "estimate",
    "plan",
    "generate",
    "status",
    "process",
    "reopen",
    "report",
    "export",
]


def test_commands_are_listed_in_the_order_of_work() -> None:
    shown = re.findall(
        r"^  ([a-z-]+)  ",
        sdg("--help").stdout.partition("Commands:")[2],
        flags=re.MULTILINE,
    )
    assert [name for name in shown if name in ORDER] == ORDER
    assert len(shown) == len(set(shown))


def test_a_shell_completes_commands() -> None:
    asked = {
        "_SDG_COMPLETE": "complete_bash",
        "COMP_WORDS": "sdg ge",
        "COMP_CWORD": "1",
    }
    assert sdg(env=asked).stdout.split() == ["generate"]
