"""Files that seed data never comes from, whatever the dataset file says: the system's own, and people's credentials.

A path is looked at as it is written and as it resolves, so that neither links nor `..` lead there; a file of a process or
device file system is known by its device, wherever that is mounted.
"""

import os
from pathlib import Path

from sdg_core.errors import SeedError

_SYSTEM = (
    "/proc",
    "/sys",
    "/dev",
    "/run/secrets",
    "/var/run/secrets",
    "/etc/ssl/private",
    "/etc/sudoers.d",
    "/boot",
)
_SYSTEM_FILES = frozenset({"/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/master.passwd"})
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

_SHOWN = 1_000
"""Characters of a path that a message repeats."""


def check_readable(path: Path) -> None:
    """Raise SeedError if a path leads, directly or by a link, to the system's files or to credentials, or can lead nowhere."""
    written = Path(os.path.abspath(path))
    resolved = Path(os.path.realpath(path))
    for each in (written, resolved):
        if _is_forbidden(each):
            raise _refusal(path, each)
    try:
        device = resolved.stat().st_dev
    except (FileNotFoundError, NotADirectoryError):  # opening it reports that
        return
    except OSError as error:
        raise SeedError(
            f"seed path {str(path)[:_SHOWN]} cannot be read: {error.strerror}"
        ) from error
    if device in _system_devices():
        raise _refusal(path, resolved)


def _refusal(path: Path, led_to: Path) -> SeedError:
    shown = str(path) if str(path) == str(led_to) else f"{path} leads to {led_to}, which"
    return SeedError(
        f"seed path {shown} holds the system's own files or credentials, which are never read as seed data",
        remedy="copy what you need elsewhere, and name that copy",
    )


def _is_forbidden(path: Path) -> bool:
    text = str(path)
    if text in _SYSTEM_FILES or any(
        text == place or text.startswith(f"{place}/") for place in _SYSTEM
    ):
        return True
    parts = path.parts
    if parts and parts[-1] in _FILES or _DIRECTORIES & {*parts}:
        return True
    return any(
        parts[start : start + len(run)] == run for run in _BELOW for start in range(len(parts))
    )


def _system_devices() -> frozenset[int]:
    return frozenset(os.stat(place).st_dev for place in ("/proc", "/sys") if os.path.exists(place))
