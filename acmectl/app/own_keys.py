"""Keys and CSRs that the configuration names by file: whether they can be used, told by `check` before a run needs them.

A run tells it too, of the one certificate; a file that is missing for a moment must not stop the others, so loading does not look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.errors import ConfigurationError, ConfigurationProblem, KeyMaterialError, StorageError

if TYPE_CHECKING:
    from acmectl.app.host import Host
    from acmectl.config.values import Certificate


def verify(host: Host) -> None:
    """Raises ConfigurationError with all that is wrong with the files that `key_file` and `csr_file` name."""
    try:
        found = [_problem(host, label, wanted) for label, wanted in host.config.certificates.items()]
    finally:
        host.state.close()
    if problems := tuple(problem for problem in found if problem is not None):
        raise ConfigurationError(problems)


def _problem(host: Host, label: str, wanted: Certificate) -> ConfigurationProblem | None:
    from acmectl.follower import key_making

    spec = wanted.spec
    if wanted.key_place is None:
        return None
    try:
        imposed = host.state.certificates.keys.imposed(spec)
        if imposed is not None:
            key_making.check_names(spec, imposed)
    except (KeyMaterialError, StorageError) as error:
        path = f"certificates.{label}.{'csr_file' if spec.csr_file else 'key_file'}"
        return ConfigurationProblem(wanted.key_place, path, error.message, error.hint)
    return None
