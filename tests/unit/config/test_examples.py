"""The examples are what people start from: they load, and their sections are what solvers and deploy targets take."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from acmectl.config import Loaded, Sections, load
from acmectl.deploy import registry as deploy
from acmectl.model.names import Identifier
from acmectl.solvers import registry as solvers

EXAMPLES = Path(__file__).parents[3] / "examples"
TSIG_KEY = 'key "acmectl" {\n\talgorithm hmac-sha256;\n\tsecret "bm90IGEgc2VjcmV0IGF0IGFsbCwgYnV0IGEga2V5";\n};\n'


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Loaded]:
    """Loads an example from a directory with the files that it refers to."""

    def copy_and_load(name: str) -> Loaded:
        shutil.copy(EXAMPLES / name, tmp_path / "config.yaml")
        (tmp_path / "tsig.key").touch(mode=0o600)
        (tmp_path / "tsig.key").write_text(TSIG_KEY)
        (tmp_path / "customers.txt").write_text("www.customer.example\nshop.customer.example\n")
        return load(tmp_path / "config.yaml")

    return copy_and_load


def check_sections(sections: Sections) -> None:
    for section in sections.solvers.values():
        model = solvers.options_model(section.type)
        assert model, section.type
        section.check(model)
    for target in (target for targets in sections.deploy.values() for target in targets):
        model = deploy.options_model(target.type)
        assert model, target.type
        target.check(model)


@pytest.mark.parametrize("name", ["master.yaml", "follower.yaml", "standalone.yaml"])
def test_an_example_has_no_problem(example: Callable[[str], Loaded], name: str) -> None:
    answer = example(name)
    assert answer.problems == ()
    check_sections(answer.sections)


def test_the_master_issues_nothing_and_keeps_a_customer_apart(example: Callable[[str], Loaded]) -> None:
    config = example("master.yaml").require()
    assert config.master
    assert not config.certificates
    by_account: dict[str, set[Identifier]] = {}
    for entry in config.master.authorize:
        by_account.setdefault(entry.account, set()).update(entry.names)
    assert by_account["customer"] == {Identifier("www.customer.example"), Identifier("shop.customer.example")}
    assert {Identifier("*.example.com"), Identifier("xn--bcher-kva.example.org")} <= by_account["default"]


def test_the_follower_has_nothing_to_prove_with_and_needs_only_what_the_master_proves(
    example: Callable[[str], Loaded],
) -> None:
    master, follower = example("master.yaml").require().master, example("follower.yaml").require()
    assert master
    proven = {name for entry in master.authorize for name in entry.names if entry.account == "default"}
    assert not follower.solvers
    assert follower.master is None
    assert all(certificate.spec.names <= proven for certificate in follower.certificates.values())


def test_the_host_on_its_own_proves_every_name_when_it_is_needed_and_keeps_none_alive(
    example: Callable[[str], Loaded],
) -> None:
    config = example("standalone.yaml").require()
    assert config.master is None
    assert {certificate.solvers for certificate in config.certificates.values()} == {("web",)}
