"""What the configuration names and lies outside of it: whether it can be used, told by `check` before a run needs it.

Keys, CSRs, passphrases and TLSA records in files, and accounts of another CA. A run tells it too, of the one certificate, target or name; a file
that is missing for a moment must not stop the others, so loading does not look.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from acmectl.app import records
from acmectl.deploy import contents
from acmectl.deploy.files import FilesOptions
from acmectl.errors import (
    AccountElsewhere,
    ConfigurationError,
    ConfigurationProblem,
    DeployError,
    KeyMaterialError,
    StorageError,
)

if TYPE_CHECKING:
    from acmectl.app.host import Host
    from acmectl.config.values import Authorize, Certificate


def verify(host: Host) -> None:
    """Raises ConfigurationError with all that is wrong with accounts, and with the files of keys, CSRs, passphrases and TLSA records that are named, TSIG keys for them included."""
    try:
        found = [
            *_accounts(host),
            *(_problem(host, label, wanted) for label, wanted in host.config.certificates.items()),
            *_passphrases(host),
        ]
    finally:
        host.state.close()
    if problems := (*(problem for problem in found if problem is not None), *records.problems(host)):
        raise ConfigurationError(problems)


def _accounts(host: Host) -> Iterator[ConfigurationProblem]:
    """Accounts of another CA, each where it is first needed; one that is missing is not wrong yet."""
    needed = [(e.account, f"master.authorize[{i}]", e.place) for i, e in enumerate(_authorized(host))]
    needed += [(c.spec.account, f"certificates.{label}", c.place) for label, c in host.config.certificates.items()]
    for name, error in host.unusable_accounts.items():
        if isinstance(error, AccountElsewhere):
            path, place = next((path, place) for account, path, place in needed if account == name)
            yield ConfigurationProblem(place, path, error.message, error.hint)


def _authorized(host: Host) -> tuple[Authorize, ...]:
    return host.config.master.authorize if host.config.master else ()


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


def _passphrases(host: Host) -> Iterator[ConfigurationProblem]:
    """Those that no file can be encrypted with."""
    for label, wanted in host.config.certificates.items():
        for section, (_, options) in zip(wanted.deploy, host.parts.targets[label], strict=True):
            if isinstance(options, FilesOptions) and options.passphrase_file is not None:
                try:
                    contents.passphrase(options.passphrase_file)
                except DeployError as error:
                    yield section.problem(error.message, key="passphrase_file", hint=error.hint)
