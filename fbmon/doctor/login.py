"""The end of a training when its user logs out, if systemd-logind is configured to end all their processes."""

import configparser
import re
import subprocess
from contextlib import suppress
from pathlib import Path

import msgspec

from fbmon.doctor.finding import Finding
from fbmon.run import user_name
from fbmon.text import clean

_ADVICE = "run `loginctl enable-linger` once, then start with `systemd-run --user --scope fbmon run ...`"
_ASK_SECONDS = 2.0
_YES = ("1", "yes", "y", "true", "t", "on")
_BOOLEAN = "KillUserProcesses"
_LISTS = ("KillOnlyUsers", "KillExcludeUsers")


class Policy(msgspec.Struct, frozen=True):
    """The users whose processes end with their session: logind.conf(5)."""

    kills: bool
    only: list[str]
    excluded: list[str]

    def concerns(self, user: str) -> bool:
        """Say whether `user` is one of them."""
        return self.kills and user not in self.excluded and (not self.only or user in self.only)


def examine_login(root: Path = Path("/"), user: str = "") -> Finding:
    """Judge whether a training outlives the logout of its user.

    The session's processes end with it, a user's own services with the last session unless the user lingers.
    """
    user = user or user_name()
    unit = _unit(root)
    if not unit or not (root / "run/systemd/system").is_dir():
        return Finding("logout", "ok", "no systemd login session: nothing ends processes at logout")
    if not _policy(root).concerns(user):
        return Finding("logout", "ok", "a training goes on after logout (KillUserProcesses=no)")
    lingers = (root / "var/lib/systemd/linger" / user).exists()
    if lingers and unit.startswith("user@"):
        return Finding("logout", "ok", "a training goes on after logout: the user lingers")
    linger = "on" if lingers else "off"
    observation = f"a training started here ends at logout (KillUserProcesses=yes, {unit}, linger {linger})"
    return Finding("logout", "warning", observation, _ADVICE)


def _unit(root: Path) -> str:
    """Return the unit of this process that may end with the session: session-3.scope, user@1000.service, or none."""
    with suppress(OSError):
        match = re.search(r"/(session-[^/\n]+\.scope|user@\d+\.service)", (root / "proc/self/cgroup").read_text())
        return clean(match[1]) if match else ""
    return ""


def _policy(root: Path) -> Policy:
    """Return the policy that logind reports, or else the one in its files."""
    command = ["busctl", "--json=short", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1"]
    command += ["org.freedesktop.login1.Manager", _BOOLEAN, *_LISTS]
    with suppress(OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        said = subprocess.run(command, capture_output=True, timeout=_ASK_SECONDS, check=True).stdout
        values = [msgspec.json.decode(line)["data"] for line in said.splitlines()]
        return Policy(*msgspec.convert(values, tuple[bool, list[str], list[str]]))
    return _read(root)


def _read(root: Path) -> Policy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_dict({"Login": {_BOOLEAN: _built_in(root), "KillExcludeUsers": "root", "KillOnlyUsers": ""}})
    for path in _files(root):
        with suppress(OSError, ValueError, configparser.Error):
            parser.read_string(path.read_text())
    login = parser["Login"]
    return Policy(login[_BOOLEAN].lower() in _YES, *(login[name].split() for name in _LISTS))


def _built_in(root: Path) -> str:
    """Return the default of KillUserProcesses: the files have it in a comment, as distributions differ; else yes."""
    for path in _files(root):
        with suppress(OSError, ValueError):
            match = re.search(rf"^#{_BOOLEAN}=(\w+)", path.read_text(), re.MULTILINE)
            if match:
                return match[1]
    return "yes"


def _files(root: Path) -> list[Path]:
    """Return the files, the later wins: the first main file found, then all drop-ins by name, the last folder's."""
    folders = [root / prefix / "systemd" for prefix in ("usr/lib", "run", "etc")]
    main = [folder / "logind.conf" for folder in reversed(folders) if (folder / "logind.conf").is_file()]
    parts = {path.name: path for folder in folders for path in folder.glob("logind.conf.d/*.conf")}
    return [*main[:1], *(parts[name] for name in sorted(parts))]
