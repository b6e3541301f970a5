"""The main job on one machine: a throw-away CA, a master that proves, and a follower that issues.

Every command below is a real `acmectl` process. The two "hosts" share nothing but the CA and one copy of the account. Run it
by `make demo`; it works in a temporary directory and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ACMECTL = Path(sys.executable).with_name("acmectl")
READY = "ready"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

MASTER = """\
profile: classic
contact: [hostmaster@demo.test]
state_directory: state
solvers:
  web: {{type: standalone, listen: "127.0.0.1:{port}", check_address: "127.0.0.1:{port}"}}
master:
  every: 1d
  authorize:
    - {{names: [demo.test, xmpp.demo.test, mail.demo.test], solver: web}}
"""

FOLLOWER = """\
profile: classic
state_directory: state
follower: {grace: 3s}        # 15 minutes by default; a demo has less patience
certificates:
  xmpp:
    names: [xmpp.demo.test, demo.test]
    deploy: [{type: files, directory: tls, reload: [touch, reloaded]}]
"""


class Ended(Exception):
    """A signal came; where nothing of ours is half-made."""


class Ending:
    """Ctrl-C, SIGTERM and SIGHUP end the demo where it waits, and nowhere else: what was begun is always known, and ended."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._waiting = False

    def __call__(self, number: int, _: object) -> None:
        """The signal handler. Only the first signal counts."""
        self.number = self.number or number
        if self._waiting:
            self._waiting = False
            raise Ended

    @contextlib.contextmanager
    def ends_waiting(self) -> Iterator[None]:
        """A wait that a signal ends, also one that came before."""
        self._waiting = True
        try:
            if self.number:
                raise Ended
            yield
        finally:
            self._waiting = False


ending = Ending()


def main() -> int:
    """Walk through the main job; returns the exit status."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="acmectl-demo-") as directory:
        os.chdir(directory)
        os.environ["TMPDIR"] = directory  # what a program that is ended leaves goes with the rest
        port = free_port()
        title("A throw-away CA on loopback, with the rules of Let's Encrypt's")
        with sandbox(port):
            prepare(port)
            walk()
            title("A TLS server with the installed files")
            shake_hands("xmpp.demo.test", expected=True)
            shake_hands("wrong.demo.test", expected=False)
    print(f"\nDone in {time.monotonic() - started:.0f} s; nothing is left running, nothing is left behind.")
    return 0


def walk() -> None:
    """The commands, in the order in which two admins would type them."""
    title("The master: an account, and a copy of it for the follower")
    acmectl("master", "account", "register", "--agree-tos")
    acmectl("master", "account", "export", "account.json")
    title("The follower: takes the account over, and comes too early")
    acmectl("follower", "account", "import", "account.json")
    acmectl("follower", "follower", "run")
    title("The master proves its names; it never asks for a certificate")
    acmectl("master", "master", "run")
    title("The follower again: the CA hands it its old, dead order, which it gives up after the grace period")
    acmectl("follower", "follower", "run", "--wait", "30s")
    title("How both stand, from what they remember; neither asks the CA")
    acmectl("master", "status")
    acmectl("follower", "status")
    show("follower", "ls", "-l", "state/certificates/xmpp", "tls/")


def prepare(port: int) -> None:
    """Write the configurations of the two hosts."""
    for host, text in (("master", MASTER.format(port=port)), ("follower", FOLLOWER)):
        title(f"{host}/config.yaml")
        Path(host, "conf.d").mkdir(parents=True)
        Path(host, "config.yaml").write_text(text)
        shutil.copy("ca/authority.yaml", Path(host, "conf.d"))
        print(text, end="")


def acmectl(host: str, *arguments: str) -> None:
    """Run one command of a host, in its directory, as it would be typed there."""
    print(f"\n{host}$ acmectl --config config.yaml {' '.join(arguments)}", flush=True)
    if arguments[:2] == ("account", "import"):
        shutil.copy(Path("master", arguments[2]), host)
    environment = os.environ | {"ACMECTL_VERBOSE": "1"}
    run([ACMECTL, "--config", "config.yaml", *arguments], host, environment)


def show(host: str, *command: str) -> None:
    """Run another program in a host's directory."""
    print(f"\n{host}$ {' '.join(command)}", flush=True)
    run(command, host, os.environ)


def run(command: Sequence[str | Path], host: str, environment: Mapping[str, str]) -> None:
    """Wait for a program, which is ended if we are."""
    process = subprocess.Popen(command, cwd=host, env=environment)
    try:
        with ending.ends_waiting():
            status = process.wait()
    finally:
        end(process)
    if status:
        raise subprocess.CalledProcessError(status, command)


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Ask it to end, and wait until it has."""
    process.terminate()
    process.wait()


@contextlib.contextmanager
def sandbox(port: int) -> Iterator[None]:
    """`acmectl sandbox`, ended at the end in any case."""
    command = [ACMECTL, "sandbox", "--output", "ca", "--http-port", str(port)]
    print(f"$ acmectl {' '.join(command[1:])}", flush=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        with ending.ends_waiting():
            for line in process.stdout or ():
                print(line, end="")
                if line.startswith(READY):
                    break
            else:
                raise SystemExit(process.wait() or 1)
        yield
    finally:
        end(process)


def shake_hands(name: str, *, expected: bool) -> None:
    """A TLS handshake over loopback with the deployed files, as a client that trusts only the demo's root."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain("follower/tls/fullchain.pem", "follower/tls/privkey.pem")
    client = ssl.create_default_context(cafile="ca/root.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_once, args=(listener, server), daemon=True)
        thread.start()
        try:
            with (
                ending.ends_waiting(),
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                client.wrap_socket(plain, server_hostname=name) as tls,
            ):
                print(f"handshake for {name}: works, {tls.version()}")
                worked = True
        except ssl.SSLCertVerificationError as error:
            print(f"handshake for {name}: refused, {error.verify_message}")
            worked = False
        thread.join(10)
    if worked is not expected:
        raise SystemExit(f"the handshake for {name} should {'work' if expected else 'fail'}")


def serve_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accept one connection and finish its handshake, if the client lets us."""
    plain, _ = listener.accept()
    with plain, contextlib.suppress(OSError):
        context.wrap_socket(plain, server_side=True).close()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def title(text: str) -> None:
    """What comes next."""
    print(f"\n== {text}\n", flush=True)


if __name__ == "__main__":
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` leaves SIGHUP
            signal.signal(number, ending)
    try:
        sys.exit(main())
    except Ended:
        with contextlib.suppress(OSError):  # of a terminal that closed
            print("\ninterrupted; nothing is left running", file=sys.stderr)
        sys.exit(128 + (ending.number or 0))
    except subprocess.CalledProcessError as error:
        print(f"\n`{' '.join(map(str, error.cmd))}` failed with exit status {error.returncode}", file=sys.stderr)
        sys.exit(1)
