"""Ctrl-C, SIGTERM, SIGHUP and kill -9 during a master's run: what was published is taken away again, at once or by the next run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import Host, Running, await_true, certificate
from tests.integration.office import Site, authorize, by_dns, by_web, hosts, office_bind, office_site, published
from tests.servers.bind import Bind, free_port
from tests.servers.sandbox import running_sandbox
from tests.servers.zygote import ACMECTL

ENTRIES = [authorize("dns", "office.test", "*.office.test", "away.office.test"), authorize("web", "www.web.test")]
EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
PROMPTLY = 15.0  # seconds, on a busy machine; what is interrupted would go on for minutes
A_LONG_WHILE = "10m"
A_LONG_DELAY = timedelta(minutes=10)


class Mute:
    """A CA that takes the answers to its challenges, and does not reply for as long as `hanging` is set."""

    def __init__(self) -> None:
        self.hanging = threading.Event()
        self.released = threading.Event()
        self.taken = 0

    def __call__(self, request: str) -> None:
        if self.hanging.is_set() and "/challenge/" in request:
            self.taken += 1
            self.released.wait(A_LONG_DELAY.total_seconds())

    def release(self) -> None:
        self.hanging.clear()
        self.released.set()


@dataclass(frozen=True, slots=True)
class Place:
    """An office with its CA."""

    bind: Bind
    site: Site
    sandbox: Sandbox
    mute: Mute

    def is_clean(self) -> bool:
        return not published(self.bind) and not self.site.files()


@dataclass(frozen=True, slots=True)
class Stopped:
    """A master that waits for something that does not come, until `mend`."""

    master: Host
    running: Running
    mend: Callable[[], object]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        bind = stack.enter_context(office_bind(tmp_path_factory.mktemp("bind")))
        site = stack.enter_context(office_site(tmp_path_factory.mktemp("www")))
        mute, resolver = Mute(), (bind.address, bind.port)
        ca = running_sandbox(tmp_path_factory.mktemp("ca"), http_port=site.web.port, resolver=resolver, on_request=mute)
        yield Place(bind, site, stack.enter_context(ca), mute)


@pytest.fixture
def place(servers: Place) -> Iterator[Place]:
    """The office in order: the site answers, the CA validates at once, nothing is published."""
    assert servers.is_clean()
    yield servers
    servers.site.closed.clear()
    servers.mute.release()
    servers.sandbox.authority.state.rules = replace(servers.sandbox.authority.state.rules, validation_delay=timedelta())


@contextmanager
def mute_primary(bind: Bind) -> Iterator[int]:
    """A port that passes messages on to BIND, and never passes back the answer to the first one."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    server = socket.create_connection((bind.address, bind.port))
                    threading.Thread(target=pipe, args=(client, server), daemon=True).start()
                    if connections:
                        threading.Thread(target=pipe, args=(server, client), daemon=True).start()
                    connections.extend((client, server))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


def pipe(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def silent_name_server() -> Iterator[str]:
    """A name server that never answers."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def publishing(directory: Path, place: Place) -> Iterator[Stopped]:
    """A master that waits for the answer to its update."""
    with mute_primary(place.bind) as port:
        solvers = {"dns": by_dns(place.bind, port=port, timeout="4s"), "web": by_web(place.site)}
        with hosts(directory, place.sandbox, solvers, ENTRIES) as made:
            running = made.master.start("master", "run")
            await_true(lambda: len(published(place.bind)) == 3 and place.site.files(), what="the update")
            yield Stopped(made.master, running, lambda: None)


@contextmanager
def being_seen(directory: Path, place: Place) -> Iterator[Stopped]:
    """A master that waits until every name server and the web server answer what it published."""
    place.site.closed.add("www.web.test")
    with silent_name_server() as silent:
        servers = {"servers": [place.bind.endpoint, silent], "timeout": A_LONG_WHILE, "interval": "1s"}
        dns, web = by_dns(place.bind, propagation=servers), by_web(place.site, check_timeout=A_LONG_WHILE)
        with hosts(directory, place.sandbox, {"dns": dns, "web": web}, ENTRIES) as made:
            asked = len(place.site.web.requests)
            running = made.master.start("master", "run")
            await_true(lambda: len(published(place.bind)) == 3 and place.site.files(), what="the update")
            await_true(lambda: len(place.site.web.requests) > asked, what="a look at the web server")

            def mend() -> None:
                place.site.closed.clear()
                made.master.configure(solvers={"dns": by_dns(place.bind), "web": by_web(place.site)})

            yield Stopped(made.master, running, mend)


@contextmanager
def being_validated(directory: Path, place: Place) -> Iterator[Stopped]:
    """A master that waits for the CA."""
    state, counts = place.sandbox.authority.state, place.sandbox.counts
    answered, looked = counts["challenge"], counts["order"]
    state.rules = replace(state.rules, validation_delay=A_LONG_DELAY)
    with hosts(directory, place.sandbox, {"dns": by_dns(place.bind), "web": by_web(place.site)}, ENTRIES) as made:
        running = made.master.start("master", "run")
        await_true(lambda: counts["challenge"] == answered + 4, what="the answers to the challenges")
        await_true(lambda: counts["order"] > looked, what="a look at the order")

        def mend() -> None:
            state.rules = replace(state.rules, validation_delay=timedelta())

        yield Stopped(made.master, running, mend)


@contextmanager
def left_without_reply(directory: Path, place: Place) -> Iterator[Stopped]:
    """A master whose workers wait for replies of the CA that do not come."""
    mute, taken = place.mute, place.mute.taken
    mute.released.clear()
    mute.hanging.set()
    with hosts(directory, place.sandbox, {"dns": by_dns(place.bind), "web": by_web(place.site)}, ENTRIES) as made:
        running = made.master.start("master", "run")
        await_true(lambda: mute.taken > taken, what="the answer to a challenge")
        yield Stopped(made.master, running, mute.release)


Waiting = Callable[[Path, Place], AbstractContextManager[Stopped]]
PLACES: tuple[Waiting, ...] = (publishing, being_seen, being_validated, left_without_reply)


@pytest.mark.parametrize("waiting", PLACES)
@pytest.mark.parametrize("number", EXIT_STATUS)
def test_an_interrupted_master_takes_away_what_it_published_and_the_next_run_works(
    tmp_path: Path, place: Place, waiting: Waiting, number: signal.Signals
) -> None:
    with waiting(tmp_path, place) as stopped:
        stopped.running.signal(number)
        done = stopped.running.finish(expect=EXIT_STATUS[number], seconds=PROMPTLY)
        assert done.err.splitlines()[-1] == "error: interrupted"
        assert place.is_clean()
        stopped.mend()
        goes_on_as_usual(stopped.master, place)


def test_a_terminal_that_closes_interrupts_a_master_that_writes_to_it(tmp_path: Path, place: Place) -> None:
    place.site.closed.add("www.web.test")
    by = {"dns": by_dns(place.bind), "web": by_web(place.site, check_timeout=A_LONG_WHILE)}
    with hosts(tmp_path, place.sandbox, by, ENTRIES) as made:
        terminal, its_end = os.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", ACMECTL, "--config", "config.yaml", "-vv", "master", "run"],
            cwd=made.master.directory,
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
        )
        try:
            os.close(its_end)
            await_true(lambda: len(published(place.bind)) == 3 and place.site.files(), what="the update")
            os.close(terminal)
            assert process.wait(PROMPTLY) == EXIT_STATUS[signal.SIGHUP]
        finally:
            process.kill()
            process.wait()
        assert place.is_clean()


def test_a_run_that_shall_outlive_its_terminal_goes_on(tmp_path: Path, place: Place) -> None:
    place.site.closed.add("www.web.test")
    by = {"dns": by_dns(place.bind), "web": by_web(place.site, check_timeout=A_LONG_WHILE)}
    with hosts(tmp_path, place.sandbox, by, ENTRIES) as made:
        running = made.master.start("master", "run", prefix=["nohup"])
        await_true(lambda: len(published(place.bind)) == 3 and place.site.files(), what="the update")
        running.signal(signal.SIGHUP)
        place.site.closed.clear()
        running.finish()
        assert len(made.master.names("authorized")) == 4


@pytest.mark.parametrize("waiting", PLACES)
def test_the_run_after_a_killed_one_removes_what_that_one_left(tmp_path: Path, place: Place, waiting: Waiting) -> None:
    with waiting(tmp_path, place) as stopped:
        stopped.running.signal(signal.SIGKILL)
        stopped.running.finish(expect=-signal.SIGKILL)
        assert published(place.bind)
        assert place.site.files()
        stopped.mend()
        stopped.master.configure(master={"authorize": [authorize("web", "other.web.test")]})
        stopped.master.run("master", "run")
        assert place.is_clean()
        stopped.master.configure(master={"authorize": ENTRIES})
        goes_on_as_usual(stopped.master, place)


def test_what_cannot_be_removed_now_is_removed_by_a_later_run(tmp_path: Path, place: Place) -> None:
    with being_seen(tmp_path, place) as stopped:
        stopped.running.signal(signal.SIGKILL)
        stopped.running.finish(expect=-signal.SIGKILL)
        left = published(place.bind)
        stopped.mend()
        unreachable = by_dns(place.bind, port=free_port(), timeout="1s")
        stopped.master.configure(solvers={"dns": unreachable, "web": by_web(place.site)})
        place.sandbox.authority.forget(accounts=False)
        done = stopped.master.run("master", "run", expect=1)
        assert "what an earlier run published, or may have, was not removed for `office.test`" in done.err
        assert published(place.bind) == left
        stopped.mend()
        stopped.master.run("master", "run", "office.test", "*.office.test", "away.office.test")
        assert place.is_clean()


@pytest.mark.parametrize("number", EXIT_STATUS)
def test_a_follower_that_waits_for_the_master_ends_at_once(
    tmp_path: Path, place: Place, number: signal.Signals
) -> None:
    follower = {"certificates": {"web": certificate("www.web.test")}}
    asked = place.sandbox.counts["newOrder"]
    with hosts(tmp_path, place.sandbox, {"web": by_web(place.site)}, ENTRIES[1:], follower) as made:
        running = made.followers[0].start("follower", "run", "--wait", "1h")
        await_true(lambda: place.sandbox.counts["newOrder"] > asked, what="an order")
        running.signal(number)
        running.finish(expect=EXIT_STATUS[number], seconds=PROMPTLY)
        made.followers[0].run("follower", "run")


def goes_on_as_usual(master: Host, place: Place) -> None:
    """With new orders, because the CA is still busy with the old ones."""
    place.sandbox.authority.forget(accounts=False)
    master.run("master", "run")
    assert len(master.names("authorized")) == 4
    assert place.is_clean()
