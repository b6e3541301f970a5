"""What `check` says of keys and CSRs that the configuration names by file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of

CERTIFICATES = """\
  mail:
    names: [mail.acme.test]
    key_file: mail.key
  xmpp:
    names: [acme.test]
    csr_file: xmpp.csr
"""


def openssl(directory: Path, *argv: str) -> None:
    subprocess.run(["openssl", *argv], cwd=directory, check=True, capture_output=True)


def make_csr(directory: Path, name: str) -> None:
    sans = f"subjectAltName=DNS:{name}"
    openssl(directory, "req", "-new", "-key", "mail.key", "-subj", "/", "-addext", sans, "-out", "xmpp.csr")


def test_files_that_cannot_be_used_are_told_with_their_lines_and_once_mended_all_is_well(
    ca: Sandbox, tmp_path: Path
) -> None:
    host = Host(tmp_path / "follower", follower_of(ca, CERTIFICATES))
    folder = tmp_path / "follower"
    missing = host.block(host.acmectl("check"))
    assert "`certificates.mail.key_file`: cannot read" in missing
    assert "`certificates.xmpp.csr_file`: cannot read" in missing
    assert missing.endswith("-> 2\n")
    openssl(folder, "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "mail.key")
    (folder / "mail.key").chmod(0o644)
    make_csr(folder, "other.test")
    wrong = host.block(host.acmectl("check"))
    assert "can be read or written by others" in wrong
    assert "xmpp.csr` lacks acme.test and has also other.test" in wrong
    (folder / "mail.key").chmod(0o600)
    make_csr(folder, "acme.test")
    good = host.block(host.acmectl("check"))
    assert good.startswith("config.yaml: no problems\n")
    assert good.endswith("-> 0\n")
    assert not host.state.exists()


def test_a_passphrase_that_cannot_be_read_is_told_with_its_line_and_fails_its_target_alone(
    ca: Sandbox, issued: Host
) -> None:
    sealed = "{type: files, directory: sealed, files: {pkcs12: site.p12}, passphrase_file: pass}"
    issued.configure(
        follower_of(
            ca,
            "  xmpp:\n    names: [xmpp.acme.test, mail.acme.test]\n"
            f"    deploy:\n      - {sealed}\n      - {{type: files, directory: tls}}\n",
        )
    )
    assert issued.block(issued.acmectl("check")) == (
        "! config.yaml:9: `certificates.xmpp.deploy[0].passphrase_file`:"
        " cannot read the passphrase `TMP/follower/pass`: no such file or directory\n"
        "! error: 1 problem in the configuration\n-> 2\n"
    )
    assert issued.block(issued.acmectl("run")) == (
        "! error: certificate `xmpp` is not deployed to files[0]:"
        " cannot read the passphrase `TMP/follower/pass`: no such file or directory; the next run tries again\n"
        "! hint: once it is mended, `acmectl follower run xmpp` tries again at once\n-> 1\n"
    )
    assert (issued.directory / "tls" / "privkey.pem").exists()
    issued.directory.joinpath("pass").write_text("secret\n")
    issued.directory.joinpath("pass").chmod(0o600)
    assert issued.good("check").err == ""
    issued.good("run")
    sealed_file = (issued.directory / "sealed" / "site.p12").read_bytes()
    (issued.directory / "pass").unlink()
    assert issued.acmectl("run").status == 1
    assert (issued.directory / "sealed" / "site.p12").read_bytes() == sealed_file
