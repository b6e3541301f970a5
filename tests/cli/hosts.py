"""Hosts as directories: a configuration, a state directory, and real `acmectl` processes that see nothing else of each other.

Whole outputs are compared with literals, so `normal` replaces what differs from run to run, and nothing else: ports, moments,
spans of time, serials, thumbprints, random names and temporary paths.
"""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acmectl.sandbox.server import Sandbox
from tests.servers.zygote import ACMECTL, zygote

_SECONDS = 60
_VARYING = (
    (r"https://127\.0\.0\.1:\d+", "https://ca.test"),
    (r"/acme/account/\d+", "/acme/account/N"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "TIME"),
    (r"\d+ days?( \d+ hours?)?(?= left)", "DAYS"),
    (r"(?<=serial )[0-9a-f]{16,}", "SERIAL"),
    (r"(?<=thumbprint: )[\w-]{43}", "THUMBPRINT"),
    (r"(?<=Intermediate )[0-9a-f]{6}", "HEX"),
    (r"(?<=Root )[0-9a-f]{6}", "HEX"),
    (r"(?<=fingerprint sha256 )[0-9a-f]{64}", "FINGERPRINT"),
    (r"(?<=pin sha256 )[\w+/]{43}=", "PIN"),
)

AS_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
"""The words before a command that only root can use, to run it as a user who owns nothing."""

FRESH = ("env",)
"""The words before a command that starts as a person starts it, where a test looks at the process itself: see `tests.servers.zygote`."""

WEB = "solvers:\n  web: {type: webroot, path: www, check: no}\n"
"""A solver for a CA that trusts: nobody looks at what it publishes."""


@dataclass(frozen=True)
class Ran:
    """How a process ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


Tree = Mapping[str, tuple[int, bytes]]


class Host:
    """One host: `directory` holds its `config.yaml`, and is where its processes run."""

    def __init__(self, directory: Path, configuration: str = "") -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        if configuration:
            self.configure(configuration)

    @property
    def config(self) -> Path:
        return self.directory / "config.yaml"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    def configure(self, text: str) -> None:
        self.config.write_text(text, "utf-8")

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What cron would give, and nothing of ours."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "ACMECTL_CONFIG": "config.yaml",
            **(extra or {}),
        }

    def acmectl(
        self, *arguments: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = (), stdin: str = ""
    ) -> Ran:
        """Run a command as cron does: no terminal anywhere. `prefix` are words before it, such as `unshare -m`.

        It is a process of its own in any case, and a Python of its own with a `prefix` (`FRESH` if there is no other), or where a
        test is about Python's path.
        """
        environment = self.environment(env)
        if not prefix and "PYTHONPATH" not in environment:
            ended = zygote().ended(arguments, directory=self.directory, environment=environment, stdin=stdin)
            return Ran(ended.status, ended.out, ended.err)
        done = subprocess.run(
            [*prefix, ACMECTL, *arguments],
            cwd=self.directory,
            env=environment,
            input=stdin.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *arguments: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Ran:
        """Run a command that must end with 0."""
        ran = self.acmectl(*arguments, env=env, prefix=prefix)
        assert ran.status == 0, (arguments, ran)
        return ran

    def on_terminal(
        self,
        *arguments: str,
        answer: str = "",
        env: Mapping[str, str] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
        prompt: str = "[y/N]: ",
    ) -> Ran:
        """Run a command on a terminal; `answer` is typed once it asks (`prompt`), and `meanwhile` was done. Both outputs come as `out`."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [ACMECTL, *arguments],
            cwd=self.directory,
            env=self.environment({"TERM": "xterm", **(env or {})}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            text = _converse(ours, prompt.encode(), answer, meanwhile)
            return Ran(process.wait(_SECONDS), text, "")
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    def tree(self) -> Tree:
        """Everything below the host's directory: its mode, and its content or target; a lock that nobody holds says nothing."""
        found: dict[str, tuple[int, bytes]] = {}
        for path in sorted(self.directory.rglob("*")):
            status = path.lstat()
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.fsencode(path.readlink())
            elif stat.S_ISREG(status.st_mode) and path.name != "lock":
                content = path.read_bytes()
            found[str(path.relative_to(self.directory))] = (stat.S_IMODE(status.st_mode), content)
        return found

    def normal(self, text: str) -> str:
        """`text` without what differs from run to run."""
        text = text.replace(str(self.directory.parent), "TMP")
        for pattern, word in _VARYING:
            text = re.sub(pattern, word, text)
        return text

    def block(self, ran: Ran) -> str:
        """The status and both outputs as one text, for comparison with a literal."""
        err = "".join(f"! {line}\n" for line in self.normal(ran.err).splitlines())
        return f"{self.normal(ran.out)}{err}-> {ran.status}\n"


def _converse(terminal: int, prompt: bytes, answer: str, meanwhile: Callable[[], object]) -> str:
    """All that is printed until the other side is closed; `answer` goes in at the prompt."""
    text, end = b"", time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError as cause:
            if cause.errno != errno.EIO:  # how Linux says that nobody holds the other side any more
                raise
            break
        text += chunk
        if answer and prompt in text:
            meanwhile()
            os.write(terminal, answer.encode() + b"\n")
            answer = ""
    return text.decode().replace("\r\n", "\n")


def authority(ca: Sandbox, **more: str) -> str:
    """The first lines of a configuration: the CA, and a state directory beside the configuration."""
    fields = {"authority": f'{{directory: "{ca.directory_url}", ca_bundle: "{ca.ca_bundle}"}}'}
    fields |= {"profile": "classic", "state_directory": "state"} | more
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def master_of(ca: Sandbox, *names: str, **more: str) -> str:
    """A configuration that keeps `names` authorized."""
    listed = ", ".join(f'"{name}"' for name in names or ("xmpp.acme.test", "mail.acme.test"))
    more = {"contact": "[admin@acme.test]"} | more
    return authority(ca, **more) + WEB + f"master:\n  authorize:\n    - {{names: [{listed}], solver: web}}\n"


def follower_of(ca: Sandbox, certificates: str = "", **more: str) -> str:
    """A configuration that issues a certificate `xmpp`, or `certificates`."""
    certificates = certificates or "  xmpp: {names: [xmpp.acme.test, mail.acme.test]}\n"
    return authority(ca, **{"follower": "{grace: 1s}"} | more) + f"certificates:\n{certificates}"
