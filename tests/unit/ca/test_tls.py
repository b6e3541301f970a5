"""TLS with a CA that cannot be trusted, or that we make it impossible to trust."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.ca.session import Session
from acmectl.errors import CAProtocolError, CAUnreachable
from tests.servers.faults import Reply, running_faults
from tests.servers.tls import server_tls
from tests.unit.ca.conftest import FakeTime

DAY = timedelta(days=1)


def refusal(url: str, bundle: Path | None, time: FakeTime) -> CAUnreachable:
    with Session(url, ca_bundle=bundle, pauses=time.pause) as session, pytest.raises(CAUnreachable) as caught:
        _ = session.directory
    assert url in caught.value.message
    assert time.pauses == [], "another try cannot help"
    return caught.value


def test_the_right_bundle_is_trusted(tmp_path: Path) -> None:
    tls = server_tls(tmp_path / "right")

    with running_faults(tls) as ca, Session(ca.directory_url, ca_bundle=tls.bundle) as session:
        assert session.directory.endpoint("newOrder") == f"{ca.base}/new-order"


def test_another_bundle_is_not_and_the_hint_names_file_and_setting(tmp_path: Path, time: FakeTime) -> None:
    other = server_tls(tmp_path / "other").bundle

    with running_faults(server_tls(tmp_path / "right")) as ca:
        error = refusal(ca.directory_url, other, time)

    assert "cannot be trusted" in error.message
    assert str(other) in str(error.hint)
    assert "`ca_bundle`" in str(error.hint)
    assert ca.requests == []


def test_without_a_bundle_the_hint_names_the_setting(
    tmp_path: Path, time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with running_faults(server_tls(tmp_path / "right")) as ca:
        error = refusal(ca.directory_url, None, time)

    assert "`ca_bundle`" in str(error.hint)


def test_a_bundle_of_the_environment_is_used_and_named(
    tmp_path: Path, time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, other = server_tls(tmp_path / "right"), server_tls(tmp_path / "other")
    with running_faults(right) as ca:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(right.bundle))
        with Session(ca.directory_url) as session:
            assert session.directory.url == ca.directory_url
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.bundle))
        error = refusal(ca.directory_url, None, time)

    assert "REQUESTS_CA_BUNDLE" in str(error.hint)


@pytest.mark.parametrize(("begins", "ends"), [(-3 * DAY, -DAY), (DAY, 3 * DAY)], ids=["expired", "not yet valid"])
def test_a_certificate_of_another_time_points_at_the_clock(
    tmp_path: Path, time: FakeTime, begins: timedelta, ends: timedelta
) -> None:
    tls = server_tls(tmp_path / "tls", begins=begins, ends=ends)

    with running_faults(tls) as ca:
        error = refusal(ca.directory_url, tls.bundle, time)

    assert "clock" in str(error.hint)


def test_a_certificate_for_another_name_points_at_the_url(tmp_path: Path, time: FakeTime) -> None:
    tls = server_tls(tmp_path / "tls", address="127.0.0.99")

    with running_faults(tls) as ca:
        error = refusal(ca.directory_url, tls.bundle, time)

    assert "other names than `127.0.0.1`" in str(error.hint)


def test_a_port_that_speaks_no_tls_is_named(time: FakeTime) -> None:
    with running_faults() as ca:
        error = refusal(ca.directory_url.replace("http:", "https:"), None, time)

    assert "HTTPS" in str(error.hint)


@pytest.mark.parametrize(
    "content", [None, b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_an_unusable_bundle_is_named(tmp_path: Path, time: FakeTime, content: bytes | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)

    with running_faults(server_tls(tmp_path / "right")) as ca:
        error = refusal(ca.directory_url, bundle, time)

    assert f"`{bundle}`" in error.message
    assert "PEM" in str(error.hint)


def test_a_redirect_to_plain_http_is_refused(tmp_path: Path) -> None:

    tls = server_tls(tmp_path / "right")
    with running_faults(tls) as ca, Session(ca.directory_url, ca_bundle=tls.bundle) as session:
        plain = ca.base.replace("https:", "http:")
        ca.script("GET /directory", Reply(302, b"", {"Location": f"{plain}/directory"}))

        with pytest.raises(CAProtocolError, match="not encrypted"):
            _ = session.directory

        assert len(ca.requests) == 1
