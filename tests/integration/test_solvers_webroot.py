"""http-01 by files, read back through a real web server."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acmectl.errors import SolverError
from acmectl.files import write_atomically
from acmectl.model.names import Identifier
from acmectl.solvers import registry, webroot
from acmectl.solvers.base import KeepsReceipts, Response, Solver
from acmectl.solvers.testing import Kept
from tests.servers.bind import free_port
from tests.servers.own_network import run_in_own_network
from tests.servers.solvers import only
from tests.servers.static_web import Answer, Web, files_below, running_web

DIRECTORY = Path(".well-known", "acme-challenge")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "html"
    path.mkdir()
    return path


@pytest.fixture
def web(root: Path) -> Iterator[Web]:
    with running_web(files_below(root)) as server:
        yield server


def make(root: Path | list[str], web: Web | None = None, **changes: Any) -> Solver:
    options: dict[str, Any] = {"path": str(root) if isinstance(root, Path) else root, "check_timeout": "1s"}
    if web:
        options["check_address"] = web.endpoint
    model = registry.options_model("webroot")
    assert model
    return registry.build("webroot", model.model_validate(options | changes))


def response(name: str = "www.example.com", token: str = "T0ken_-x") -> Response:
    return Response(Identifier.parse(name), "http-01", token, f"{token}.thumbprint")


def test_a_file_is_published_seen_at_its_name_and_removed_with_its_directories(root: Path, web: Web) -> None:
    solver, ours = make(root, web), [response()]
    assert solver.publish(ours) == {}
    assert (root / DIRECTORY / "T0ken_-x").read_bytes() == b"T0ken_-x.thumbprint"
    assert solver.seen(ours) == {}
    assert web.requests == [("www.example.com", "/.well-known/acme-challenge/T0ken_-x")]
    assert solver.remove(ours) == {}
    assert list(root.iterdir()) == []


def test_the_web_server_may_read_file_and_directories_whatever_the_umask(root: Path) -> None:
    before = os.umask(0o077)
    try:
        solver, ours = make(root), [response()]
        assert solver.publish(ours) == {}
    finally:
        os.umask(before)
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (root / DIRECTORY / "T0ken_-x", root / DIRECTORY, root / ".well-known")
    ]
    assert modes == [0o644, 0o755, 0o755]
    assert solver.remove(ours) == {}


def test_the_mode_of_the_file_can_be_chosen(root: Path) -> None:
    assert make(root, mode="0640").publish([response()]) == {}
    assert stat.S_IMODE((root / DIRECTORY / "T0ken_-x").stat().st_mode) == 0o640


def test_directories_that_were_there_stay(root: Path) -> None:
    (root / ".well-known").mkdir()
    solver, ours = make(root), [response()]
    assert solver.publish(ours) == {}
    assert solver.remove(ours) == {}
    assert list(root.iterdir()) == [root / ".well-known"]
    assert list((root / ".well-known").iterdir()) == []


def test_a_directory_that_somebody_uses_meanwhile_stays(root: Path) -> None:
    solver, ours = make(root), [response()]
    assert solver.publish(ours) == {}
    (root / DIRECTORY / "stranger").write_text("x")
    assert solver.remove(ours) == {}
    assert (root / DIRECTORY / "stranger").exists()


def test_several_document_roots_each_get_the_file(tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for path in roots:
        path.mkdir()
    solver, ours = make([str(path) for path in roots]), [response()]
    assert solver.publish(ours) == {}
    assert all((path / DIRECTORY / "T0ken_-x").exists() for path in roots)
    assert solver.remove(ours) == {}
    assert all(list(path.iterdir()) == [] for path in roots)


@pytest.mark.parametrize("token", ["", "../../../etc/passwd", "a/b", ".htaccess", "a\0b", "a b", "ü", "a\n", "x" * 256])
def test_a_token_that_is_no_base64url_text_never_becomes_a_file(root: Path, token: str) -> None:
    solver = make(root)
    bad, good = Response(Identifier.parse("www.example.com"), "http-01", token, "k"), response("mail.example.com")
    failures = solver.publish([bad, good])
    assert failures.keys() == {bad}
    assert only(failures).message == "the CA sent a token for `www.example.com` that is no base64url text: refused"
    assert [path.name for path in (root / DIRECTORY).iterdir()] == ["T0ken_-x"]
    assert solver.remove([good]) == {}


@pytest.mark.parametrize("link", [".well-known", ".well-known/acme-challenge"])
def test_a_link_that_leads_out_of_the_document_root_is_not_followed(root: Path, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    (outside / "acme-challenge").mkdir(parents=True)
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(outside)
    solver, ours = make(root), [response()]
    error = only(solver.publish(ours))
    assert error.message == f"`{root / link}` is a symbolic link that leads out of the document root"
    assert solver.remove(ours) == {}
    assert [path.name for path in outside.rglob("*")] == ["acme-challenge"]


def test_remove_deletes_nothing_behind_a_link_that_leads_out(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "T0ken_-x").write_text(response().key_authorization)
    (root / ".well-known").mkdir()
    (root / DIRECTORY).symlink_to(outside)
    assert make(root).remove([response()]) == {}
    assert (outside / "T0ken_-x").exists()


def test_a_link_within_the_document_root_is_followed(root: Path, web: Web) -> None:
    (root / "common").mkdir()
    (root / ".well-known").mkdir()
    (root / DIRECTORY).symlink_to("../common")
    solver, ours = make(root, web), [response()]
    assert solver.publish(ours) == {}
    assert solver.seen(ours) == {}
    assert solver.remove(ours) == {}
    assert list((root / "common").iterdir()) == []


def test_a_link_in_place_of_the_file_is_neither_followed_nor_removed(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (root / DIRECTORY).mkdir(parents=True)
    (root / DIRECTORY / "T0ken_-x").symlink_to(victim)
    solver, ours = make(root), [response()]
    assert "exists, and is not from this run" in only(solver.publish(ours)).message
    assert solver.remove(ours) == {}
    assert victim.read_text() == "precious"
    assert (root / DIRECTORY / "T0ken_-x").is_symlink()


def test_the_file_of_a_stranger_is_neither_replaced_nor_removed(root: Path) -> None:
    (root / DIRECTORY).mkdir(parents=True)
    (root / DIRECTORY / "T0ken_-x").write_text("stranger")
    solver, ours = make(root), [response()]
    error = only(solver.publish(ours))
    assert error.hint == f"see who made it, and remove it: `rm {root / DIRECTORY / 'T0ken_-x'}`"
    assert solver.remove(ours) == {}
    assert (root / DIRECTORY / "T0ken_-x").read_text() == "stranger"


def test_a_document_root_that_is_missing_is_not_made(tmp_path: Path) -> None:
    solver, ours = make(tmp_path / "misprint"), [response()]
    assert only(solver.publish(ours)).message == f"the document root `{tmp_path / 'misprint'}` is no directory"
    assert solver.remove(ours) == {}
    assert not (tmp_path / "misprint").exists()


def test_a_directory_that_cannot_be_made_is_named_with_the_reason() -> None:
    error = only(make(Path("/proc")).publish([response()]))
    assert error.message.startswith("cannot make the directory `/proc/.well-known`: ")


def test_a_file_in_place_of_a_directory_is_named(root: Path) -> None:
    (root / ".well-known").write_text("x")
    assert only(make(root).publish([response()])).message == f"`{root / '.well-known'}` is no directory"
    assert make(root).remove([response()]) == {}


def test_a_name_that_another_server_answers_for_is_not_seen(root: Path) -> None:
    with running_web(lambda _, __: Answer(200, b"<html>welcome</html>")) as web:
        solver, ours = make(root, web), [response()]
        assert solver.publish(ours) == {}
        assert only(solver.seen(ours)).message == (
            "`http://www.example.com/.well-known/acme-challenge/T0ken_-x` "
            f"(asked at `{web.endpoint}`) answers something else than the key authorization"
        )


def test_each_name_is_asked_until_it_answers_or_the_time_is_over(root: Path) -> None:
    begin = time.monotonic()

    def late(host: str, _: str) -> Answer:
        ready = host == "www.example.com" and time.monotonic() - begin > 1
        return Answer(200, response().key_authorization.encode() + b"\r\n") if ready else Answer(404)

    with running_web(late) as web:
        solver, other = make(root, web, check_timeout="3s"), response("mail.example.com")
        failures = solver.seen([response(), other])
        assert failures.keys() == {other}
        assert only(failures).message.endswith(f"(asked at `{web.endpoint}`) answers 404")
        assert 2 < time.monotonic() - begin < 6


def test_redirects_are_followed_as_the_ca_does(root: Path) -> None:
    def redirecting(_: str, path: str) -> Answer:
        if path.startswith("/.well-known"):
            return Answer(301, headers={"Location": "/elsewhere?to=1"})
        return Answer(200, response().key_authorization.encode())

    with running_web(redirecting) as web:
        assert make(root, web).seen([response()]) == {}
        assert web.requests[-1] == ("www.example.com", "/elsewhere?to=1")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/.well-known/acme-challenge/T0ken_-x", "redirects more than 10 times"),
        ("http://www.example.com:8080/", "redirects to `http://www.example.com:8080/`"),
        ("ftp://www.example.com/", "redirects to `ftp://www.example.com/`"),
        ("http://[oops/", "redirects to `http://[oops/`, which is no URL"),
        ("http://www.example.com:eighty/", "redirects to `http://www.example.com:eighty/`, which is no URL"),
        ("/with a space", "cannot be asked: URL can't contain control characters"),
        ("file:///etc/passwd", "redirects to `file:///etc/passwd`"),
    ],
)
def test_a_redirect_that_the_ca_would_not_follow_is_a_failure(root: Path, location: str, message: str) -> None:
    with running_web(lambda _, __: Answer(302, headers={"Location": location})) as web:
        assert message in only(make(root, web).seen([response()])).message


@pytest.mark.parametrize(("status", "hint"), [(404, "may it read the files"), (403, "without a login"), (500, None)])
def test_a_status_that_is_no_success_is_told(root: Path, status: int, hint: str | None) -> None:
    with running_web(lambda _, __: Answer(status)) as web:
        error = only(make(root, web).seen([response()]))
    assert error.message.endswith(f"answers {status}")
    assert (hint in error.hint) if hint and error.hint else error.hint is hint


def test_a_web_server_that_does_not_run_is_named(root: Path) -> None:
    port = free_port()
    error = only(make(root, check_address=f"127.0.0.1:{port}").seen([response()]))
    assert error.message.endswith(f"(asked at `127.0.0.1:{port}`) cannot be asked: connection refused")


def test_a_huge_body_is_not_read(root: Path) -> None:
    with running_web(lambda _, __: Answer(200, b"x" * 50_000_000)) as web:
        assert "something else" in only(make(root, web).seen([response()])).message


def test_an_answer_that_drips_is_cut_off_as_a_whole(root: Path) -> None:
    """Each byte comes in time, and the answer never ends."""
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.1):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        begin = time.monotonic()
        error = only(make(root, check_address=f"127.0.0.1:{listener.getsockname()[1]}").seen([response()]))
        stop.set()
        thread.join()
    assert error.message.endswith("cannot be asked: no complete answer within 5 s")
    assert time.monotonic() - begin < 9


def test_without_a_check_nobody_is_asked(root: Path, web: Web) -> None:
    assert make(root, web, check=False).seen([response()]) == {}
    assert web.requests == []


NO_NAMES = """
import sys
from pathlib import Path
from tests.integration.test_solvers_webroot import make, only, response
error = only(make(Path(sys.argv[1])).seen([response()]))
print(error.message)
print(error.hint)
"""


def test_a_name_without_an_address_is_told_with_the_option_that_helps(root: Path) -> None:
    assert run_in_own_network(NO_NAMES, str(root)) == [
        "`http://www.example.com/.well-known/acme-challenge/T0ken_-x` cannot be asked: the name has no address here",
        "where this host cannot reach its own public address, set `check_address` of the solver",
    ]


def test_a_later_run_removes_the_directories_that_a_killed_one_made_and_no_others(root: Path) -> None:
    found = root.parent / "other"
    (found / ".well-known").mkdir(parents=True)
    kept, ours = Kept(), [response(), response("mail.example.com", "other")]
    for _ in range(2):
        killed = make([str(root), str(found)])
        assert isinstance(killed, KeepsReceipts)
        killed.keep_receipts_in(kept)
        assert killed.publish(ours) == {}
    later = make([str(root), str(found)])
    assert isinstance(later, KeepsReceipts)
    later.keep_receipts_in(kept)
    assert later.remove(ours) == {}
    assert [path.relative_to(root.parent) for path in sorted(root.parent.rglob("*"))] == [
        Path("html"),
        Path("other"),
        Path("other/.well-known"),
    ]


OWNED = """
import os, sys
from pathlib import Path
from tests.integration.test_solvers_webroot import make, only, response
root = Path(sys.argv[1])
solver = make(root, owner="0", group="0", mode="0640", check=False)
print(solver.publish([response()]))
for path in sorted(root.rglob("*")):
    status = path.lstat()
    print(path.name, status.st_uid, status.st_gid, oct(status.st_mode & 0o777))
print(solver.remove([response()]))
print(*root.iterdir())
print(only(make(root, owner="1").publish([response()])).message.partition(": ")[2])
"""


def test_files_and_directories_get_their_owner_and_group(root: Path) -> None:
    """In a user namespace, where nobody else's number can be given."""
    assert run_in_own_network(OWNED, str(root)) == [
        "{}",
        ".well-known 0 0 0o755",
        "acme-challenge 0 0 0o755",
        "T0ken_-x 0 0 0o640",
        "{}",
        "",
        "invalid argument",
    ]


@pytest.mark.parametrize("kind", ["owner", "group"])
def test_an_owner_that_is_unknown_is_told_and_nothing_is_made(root: Path, kind: str) -> None:
    error = only(make(root, None, **{kind: "nobody-has-this-name"}).publish([response()]))
    assert "`nobody-has-this-name` on this host" in error.message
    assert error.hint == f"correct the `{kind}` of the solver"
    assert not list(root.iterdir())


def test_addresses_are_asked_for_by_their_own_name(root: Path, web: Web) -> None:
    solver, ours = make(root, web), [response("192.0.2.1"), response("2001:db8::1", "other")]
    assert solver.publish(ours) == {}
    assert solver.seen(ours) == {}
    assert solver.remove(ours) == {}
    assert sorted(host for host, _ in web.requests) == ["192.0.2.1", "[2001:db8::1]"]


def test_a_directory_that_is_swapped_for_a_link_meanwhile_leads_nowhere_else(root: Path, tmp_path: Path) -> None:
    """The web server may own its document root, and need not wait for us between a look and a write."""
    outside, directory = tmp_path / "outside", root / DIRECTORY
    outside.mkdir()
    directory.mkdir(parents=True)
    with webroot._pinned(directory, root) as pinned:
        directory.rename(root / "moved")
        directory.symlink_to(outside)
        write_atomically(pinned / "T0ken_-x", b"", mode=0o644)
    assert not list(outside.iterdir())
    assert (root / "moved" / "T0ken_-x").exists()
    with pytest.raises(SolverError, match=f"`{directory}` was moved out of the document root"):
        webroot._pinned(directory, root).__enter__()
    directory.unlink()
    with pytest.raises(SolverError, match=f"cannot open `{directory}`: no such file or directory"):
        webroot._pinned(directory, root).__enter__()
