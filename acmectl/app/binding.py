"""The binding of an account to a customer of the CA's web site, read from where the configuration says it is.

It is read when an account is registered and at no other time, so that the files can be removed afterwards.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from acmectl import files
from acmectl.errors import UsageError

if TYPE_CHECKING:
    from acmectl.ca.accounts import Binding
    from acmectl.ca.directory import Directory
    from acmectl.config import Config, ExternalAccount

_BASE64URL = re.compile(rb"[A-Za-z0-9_-]+={0,2}")


def binding_for(config: Config, account: str, directory: Directory) -> Binding | None:
    """What to register `account` with; None where neither the configuration nor the CA speaks of a binding.

    Raises UsageError where the CA requires one that the configuration lacks, and for files that do not hold what they should;
    StorageError for files that cannot be read, or that others can read.
    """
    external = config.external_accounts.get(account)
    if external is not None:
        return _read(external)
    if not directory.external_account_required:
        return None
    site = f", {directory.website}," if directory.website else ""
    raise UsageError(
        f"the CA at `{directory.url}` requires External Account Binding (`externalAccountRequired` in its directory), "
        f"and the configuration has none for the account `{account}`",
        hint=f"get a key identifier and an HMAC key at the CA's web site{site} write the HMAC key to a file of mode 0600, "
        f"and add `accounts: {{{account}: {{eab: {{kid: KEY_IDENTIFIER, hmac_key_file: FILE}}}}}}`",
    )


def _read(external: ExternalAccount) -> Binding:
    from acmectl.ca.accounts import Binding

    kid = external.kid
    if external.kid_file is not None:
        kid = files.read(external.kid_file, what="the key identifier").decode("utf-8", "replace").strip()
        if not kid or not kid.isprintable():
            raise UsageError(f"the file `{external.kid_file}` holds no key identifier: one line of text is expected")
    assert kid is not None  # noqa: S101  # the configuration has one or the other
    return Binding(kid, _hmac_key(external))


def _hmac_key(external: ExternalAccount) -> bytes:
    """The key as CAs hand it out, base64url (RFC 8555 section 7.3.4), with or without padding."""
    content = files.read_secret(external.hmac_key_file, what="the HMAC key").strip()
    if not _BASE64URL.fullmatch(content):
        raise UsageError(
            f"the HMAC key `{external.hmac_key_file}` is not base64url",
            hint="copy it as the CA shows it: letters, digits, `-` and `_` in one line",
        )
    bare = content.rstrip(b"=")
    try:
        return base64.urlsafe_b64decode(bare + b"=" * (-len(bare) % 4))
    except ValueError:  # not chained: it is a secret
        raise UsageError(
            f"the HMAC key `{external.hmac_key_file}` is not base64url: its length cannot be right",
            hint="copy the whole key as the CA shows it",
        ) from None
