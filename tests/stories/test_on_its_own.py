"""A host on its own: names are proven when a certificate is due, and kept alive for nobody."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from acmectl import app
from acmectl.errors import ConfigurationError
from tests.stories.world import DAY, HOUR, Host, World

NAMES = ("www.acme.test", "acme.test")


def _alone(world: World, more: str = "") -> Host:
    return world.host(
        "alone",
        f'solvers: {{web: {{type: standalone, listen: "{world.web}", check_address: "{world.web}"}}}}\n'
        f"certificates: {{web: {{names: [{', '.join(NAMES)}], solver: web}}}}\n{more}",
    )


def test_a_host_on_its_own_proves_only_when_its_certificate_is_due(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        host = _alone(world)
        host.run_all()
        assert host.has_certificate()
        first = dict(host.costs.requests)
        assert first["challenge"] == len(NAMES)
        world.play(world.every(12 * HOUR, host.run_all, phase=12 * HOUR), until=world.now + 59 * DAY)
        asked = host.costs.requests - Counter(first)  # two months, though authorizations have lapsed
        assert set(asked) == {"directory", "renewalInfo"}
        assert asked["renewalInfo"] <= 2 * 59
        world.play(world.every(12 * HOUR, host.run_all, phase=12 * HOUR), until=world.now + 3 * DAY)
        assert host.costs.requests["challenge"] == 2 * len(NAMES)
        assert host.costs.requests["finalize"] == 2
        assert host.costs.requests["deactivate"] == 0


def test_the_order_that_proved_the_names_is_the_one_that_is_finalized(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        host = _alone(world)
        host.run_all()
        assert len(world.sandbox.authority.state.store.orders) == 1


def test_names_that_the_master_part_keeps_are_left_to_it(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        host = _alone(world, f"master: {{authorize: [{{names: [{NAMES[0]}], solver: web}}]}}\n")
        loaded = host.app()
        assert [w.identifier.value for w in loaded.needed(loaded.wishes())] == [NAMES[1]]
        loaded.state.close()


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        ("{names: [a.test], solver: nowhere}", "there is no solver `nowhere`"),
        ('{names: ["*.a.test"], solver: web}', "solver `web` cannot prove the wildcard `*.a.test`"),
    ],
)
def test_a_solver_that_cannot_prove_a_certificate_is_refused(tmp_path: Path, certificate: str, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        f"authority: letsencrypt\nsolvers: {{web: {{type: standalone}}}}\ncertificates: {{one: {certificate}}}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        app.load(file)
    (problem,) = refused.value.problems
    assert problem.message == message
    assert problem.path.startswith("certificates.one")
