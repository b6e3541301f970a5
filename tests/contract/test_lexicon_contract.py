"""`type: lexicon` against what `solvers/base.py` promises, on PowerDNS through its HTTP API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acmectl.solvers import registry
from acmectl.solvers.base import Response, Solver
from acmectl.solvers.testing import SolverContract, World
from tests.servers.name_server import Zone
from tests.servers.powerdns import PowerDNS, running_powerdns
from tests.servers.powerdns_api import by_lexicon, set_txt


@pytest.fixture(scope="module")
def powerdns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDNS]:
    zones = [Zone("example.test", ["_acme-challenge.two IN CNAME two.acme.test."]), Zone("acme.test")]
    with running_powerdns(tmp_path_factory.mktemp("powerdns"), zones=zones) as server:
        yield server


class TestLexicon(SolverContract):
    @pytest.fixture
    def world(self, powerdns: PowerDNS) -> Iterator[World]:
        options = by_lexicon(powerdns)
        del options["type"]
        options["propagation"]["timeout"] = "1s"
        planted = set[tuple[str, str]]()

        def make() -> Solver:
            model = registry.options_model("lexicon")
            assert model
            return registry.build("lexicon", model.model_validate(options))

        def plant(response: Response) -> None:
            owner = response.identifier.challenge_record
            if owner == "_acme-challenge.two.example.test":
                owner = "two.acme.test"
            place = (owner.partition(".")[2] if owner == "two.acme.test" else "example.test", owner)
            set_txt(powerdns, *place, "stranger", "another; stranger")
            planted.add(place)

        yield World(
            make,
            "dns-01",
            is_visible=lambda response: response.txt_value in powerdns.txt(response.identifier.challenge_record),
            plant=plant,
            is_planted=lambda response: (
                powerdns.txt(response.identifier.challenge_record) >= {"stranger", "another; stranger"}
            ),
        )
        for place in planted:
            set_txt(powerdns, *place)
