"""Files that seed data never comes from, whatever the dataset file says: the system's own, and people's credentials.

A path is looked at as it is written and as it resolves, so that neither links nor `..` lead there; a file of a process or
device file system is known by its device, wherever that is mounted.
"""

import os
from functools import lru_cache
from pathlib import Path

from sdg_core.errors import SeedError

_SYSTEM = (
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/secrets/",
    "/var/run/secrets/",
    "/etc/ssl/private/",
    "/etc/sudoers.d/",
    "/boot/",
)
_SYSTEM_FILES = frozenset(
    {"/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/master.passwd"}
)
_DIRECTORIES = frozenset(
    {
        ".ssh",
        ".aws",
        ".azure",
        ".gnupg",
        ".kube",
        ".docker",
        ".oci",
        ".password-store",
        ".pki",
        ".mozilla",
        ".terraform.d",
    }
)
_BELOW = (
    (".config", "gcloud"),
    (".config", "gh"),
    (".config", "sops"),
    (".config", "google-chrome"),
    (".config", "chromium"),
    (".config", "rclone"),
    (".config", "hub"),
    (".config", "pypoetry"),
    (".cache", "huggingface", "token"),
    (".cache", "huggingface", "stored_tokens"),
    (".huggingface", "token"),
    (".local", "share", "keyrings"),
    ("Library", "Keychains"),
)
_BELOW_FIRST = frozenset(run[0] for run in _BELOW)
_FILES = frozenset(
    {
        ".netrc",
        "_netrc",
        ".pgpass",
        ".my.cnf",
        ".git-credentials",
        ".npmrc",
        ".pypirc",
        ".env",
        ".s3cfg",
        ".boto",
        ".vault-token",
        ".bash_history",
        ".zsh_history",
        ".python_history",
        "id_rsa",
        "id_ed25519",
        "id_ecdsa",
        "id_dsa",
    }
)

_MAX_SHOWN = 1_000
"""Characters of a path that a message repeats."""


def check_readable(path: Path) -> None:
    """Raise SeedError if a path leads, directly or by a link, to the system's files or to credentials, or can lead nowhere."""
    written = os.path.abspath(path)
    resolved = os.path.realpath(path)
    if _is_forbidden(written):
        raise _refusal(path, written)
    if resolved != written and _is_forbidden(resolved):
        raise _refusal(path, resolved)
    try:
        device = os.stat(resolved).st_dev
    except (FileNotFoundError, NotADirectoryError):  # opening it reports that
        return
    except OSError as error:
        raise SeedError(
            f"seed path {str(path)[:_MAX_SHOWN]} cannot be read: {error.strerror}"
        ) from error
    if device in _system_devices():
        raise _refusal(path, resolved)


def _refusal(path: Path, led_to: str) -> SeedError:
    shown = led_to if str(path) == led_to else f"{path} leads to {led_to}, which"
    return SeedError(
        f"seed path {shown} holds the system's own files or credentials, which are never read as seed data",
        remedy="copy the data you need elsewhere and use the copy",
    )


def _is_forbidden(path: str) -> bool:
    if path in _SYSTEM_FILES or f"{path}/".startswith(_SYSTEM):
        return True
    parts = tuple(path.split(os.sep))
    if parts[-1] in _FILES or not _DIRECTORIES.isdisjoint(parts):
        return True
    if _BELOW_FIRST.isdisjoint(parts):
        return False
    for run in _BELOW:
        for start in range(len(parts)):
            if parts[start : start + len(run)] == run:
                return True
    return False


@lru_cache(maxsize=1)
def _system_devices() -> frozenset[int]:
    places = [place for place in ("/proc", "/sys") if os.path.exists(place)]
    return frozenset(os.stat(place).st_dev for place in places)
