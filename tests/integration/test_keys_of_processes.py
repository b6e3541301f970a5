"""From registration to a deployed certificate under a umask that forbids nothing: what the kernel saw of every secret.

`test_key_exposure` watches the storage by itself, and shows that the watcher notices what is wrong; here whole commands are watched.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.integration.hosts import Host, certificate
from tests.integration.office import authorize, by_web, hosts, office_site
from tests.integration.test_key_exposure import read_trace
from tests.servers.sandbox import running_sandbox

CALLS = "open,openat,creat,write,pwrite64,chmod,fchmod,fchmodat,rename,renameat,renameat2,link,linkat,mkdir,mkdirat"
CREATED = re.compile(r'open(?:at)?\((?:AT_FDCWD<[^>]*>, )?"([^"]+)", [A-Z_|]*O_CREAT[A-Z_|]*, (0\d+)\) = \d+')
UNFINISHED, RESUMED = " <unfinished ...>", re.compile(r"<\.\.\. \w+ resumed>")
NAMES = ["web.test", "mail.test"]


class Watcher:
    """Runs commands of hosts under strace with umask 000, and keeps all that it saw."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.trace = ""

    def run(self, host: Host, *arguments: str) -> None:
        file = self._directory / "trace"
        strace = ["strace", "-f", "--seccomp-bpf", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(file)]
        host.run(*arguments, prefix=["sh", "-c", 'umask 000 && exec "$@"', "sh", *strace])
        self.trace += "".join(whole_calls(file.read_text(errors="replace")))


def whole_calls(trace: str) -> Iterator[str]:
    """The lines of a trace, with those joined that strace splits where two threads are busy at once."""
    begun: dict[str, str] = {}
    for line in trace.splitlines(keepends=True):
        thread = line.partition(" ")[0]
        if UNFINISHED in line:
            begun[thread] = line.partition(UNFINISHED)[0]
        elif resumed := RESUMED.search(line):
            yield begun.pop(thread, "") + re.sub(r"\s+= ", " = ", line[resumed.end() :], count=1)
        else:
            yield line


def test_no_secret_is_open_to_others_at_any_moment_of_the_main_job(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    group = {"type": "files", "directory": "shared", "key_mode": "0640"}
    private = {"type": "files", "directory": "private"}
    wanted = {"certificates": {"web": certificate(*NAMES, deploy=[private, group])}}
    with (
        office_site(tmp_path / "www") as site,
        running_sandbox(tmp_path / "ca", http_port=site.web.port) as sandbox,
        hosts(tmp_path, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES)], wanted) as made,
    ):
        watcher, master, follower = Watcher(tmp_path), made.master, made.followers[0]
        shutil.rmtree(master.state)
        shutil.rmtree(follower.state)
        bundle = tmp_path / "account.bundle"
        watcher.run(master, "account", "register", "--agree-tos")
        watcher.run(master, "account", "export", str(bundle))
        watcher.run(follower, "account", "import", str(bundle))
        watcher.run(follower, "follower", "run")
        watcher.run(master, "master", "run")
        follower.configure(follower={"grace": "1s"})
        watcher.run(follower, "follower", "run", "--wait", "10s")
        assert follower.current("web").exists()

        seen = read_trace(watcher.trace)
        shared = {path for path in seen.secret if "/shared/" in path}
        assert seen.exposed == shared, "a group may read only what the configuration gives it"
        assert {"key.pem", "account.bundle", "privkey.pem"} <= {Path(path).name for path in seen.secret}
        created = [
            (path, int(mode, 8)) for path, mode in CREATED.findall(watcher.trace) if path.startswith(str(tmp_path))
        ]
        assert {"state.db", "state.db-journal", "lock"} <= {Path(path).name for path, _ in created}
        first = dict(reversed(created))
        assert not {path: oct(mode) for path, mode in first.items() if mode & 0o077}
        later = {Path(path).name for path, mode in created if mode & 0o077}
        assert later <= {"state.db"}, "SQLite says O_CREAT of its file, which is there by then"
        on_disk = [path for host in (master, follower) for path in (host.state, *host.state.rglob("*"))]
        open_ = {path.name for path in on_disk if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077}
        assert open_ == {"cert.pem", "chain.pem", "fullchain.pem"}
        assert stat.S_IMODE((follower.directory / "private" / "privkey.pem").stat().st_mode) == 0o600
        assert stat.S_IMODE((follower.directory / "shared" / "privkey.pem").stat().st_mode) == 0o640
