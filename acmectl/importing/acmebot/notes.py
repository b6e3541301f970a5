"""What of an acmebot configuration has no counterpart here, in words: for each key that its files really have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from acmectl.importing.acmebot.reading import Acmebot

_TAKEN = "`backup_key` files are not taken over; `prepare_key: true` makes a next key ahead, and `cert show` its pin"
_SETTINGS = {
    "renewal_days": "a certificate is renewed when the CA suggests it (ARI), or at two thirds of its lifetime",
    "dhparam_size": "no DH parameters are made or appended: configure them in the service, or use named groups",
    "ecparam_curve": "no curve parameters are appended: configure them in the service",
    "key_passphrase": "keys are written without a passphrase, readable by their owner alone",
    "key_cipher": "keys are written without a passphrase, readable by their owner alone",
    "hpkp_days": "HPKP headers are gone from browsers, and are not written",
    "pin_subdomains": "HPKP headers are gone from browsers, and are not written",
    "hpkp_report_uri": "HPKP headers are gone from browsers, and are not written",
    "ocsp_must_staple": "not asked for: Let's Encrypt refuses it since 2025",
    "ocsp_responder_urls": "no OCSP responses are fetched: Let's Encrypt's responders are gone since 2025",
    "ct_submit_logs": "no SCTs are fetched: CAs embed them in the certificate",
    "expiration_days": f"keys are replaced when you say so. {_TAKEN}",
    "auto_rollover": f"keys are replaced when you say so. {_TAKEN}",
    "verify": "what a service serves is compared where a target says so: `verify: [{address: NAME, port: PORT}]`",
    "acme_directory_verify_ssl": "the CA's server is always verified: name its roots with `authority: {directory: URL, ca_bundle: FILE}`",
    "log_level": "there is no log file: `acmectl log` tells the history, and cron mails what fails",
    "nsupdate_command": "dynamic updates are sent by acmectl itself",
    "min_run_delay": "put a random delay into the timer or cron job, as the examples do",
    "max_run_delay": "put a random delay into the timer or cron job, as the examples do",
}
_IGNORED = {"follower_mode", "slave_mode", "acme_directory_url", "key_types", "key_size", "key_curve", "key_provided"}
_IGNORED |= {"file_user", "file_group", "log_user", "log_group", "services", "reload_zone_command", "color_output"}
_IGNORED |= {"warning_exit_code", "public_suffix_list_url", "max_domains_per_order", "max_dns_lookup_attempts"}
_IGNORED |= {"dns_lookup_delay", "max_authorization_attempts", "authorization_delay", "cert_poll_time"}
_IGNORED |= {"max_ocsp_verify_attempts", "ocsp_verify_retry_delay"}
_DIRECTORIES = {
    "full_certificate": "files with the root in them are not written: services need none",
    "param": "no files of parameters are written",
    "hpkp": "HPKP headers are gone from browsers, and are not written",
    "ocsp": "no OCSP responses are fetched: Let's Encrypt's responders are gone since 2025",
    "sct": "no SCTs are fetched: CAs embed them in the certificate",
    "previous_key": f"previous keys stay in older generations in the state directory. {_TAKEN}",
    "archive": "older generations stay in the state directory (`follower.keep_generations`)",
}
_CERTIFICATE = ("dhparam_size", "ecparam_curve", "ocsp_must_staple", "ct_submit_logs", "verify")
_PRIVATE_KEY = ("key_passphrase", "hpkp_days", "expiration_days", "auto_rollover")
_USED_HOOKS = {"certificate_installed", "chain_installed", "private_key_installed", "full_key_installed"}
_DNS_HOOKS = {"set_dns_challenge", "clear_dns_challenge", "dns_zone_update"}


def without_counterpart(acmebot: Acmebot, *, dns_hooks_used: bool) -> Iterator[str]:
    """A note for each setting, directory, hook and section that is there, says something, and means nothing here."""
    settings = acmebot.own.get("settings") or {}
    yield from (f"`settings.{key}`: {why}" for key, why in _SETTINGS.items() if settings.get(key))
    yield from (f"`settings.{key}` is not known here" for key in sorted(set(settings) - set(_SETTINGS) - _IGNORED))
    directories = acmebot.own.get("directories") or {}
    yield from (f"`directories.{key}`: {why}" for key, why in _DIRECTORIES.items() if directories.get(key))
    used = _USED_HOOKS | (_DNS_HOOKS if dns_hooks_used else set())
    for hook, command in acmebot.section("hooks").items():
        if command and hook not in used:
            yield f"the hook `{hook}` is not called; was: {command}"
    for section in ("hpkp_headers", "ct_logs"):
        if acmebot.own.get(section):
            yield f"`{section}` means nothing here"


def of_private_key(name: str, private_key: Mapping[str, Any], *, shared: bool, there: bool) -> Iterator[str]:
    """Notes on a private key; `there` is whether its files are, `shared` whether several certificates have it."""
    if private_key.get("key_provided") and not there:
        yield f"`{name}`: its key is provided from elsewhere, and is not there yet: set `key_file` when it is"
    if shared and not there:
        yield (
            f"`{name}`: its certificates share one key, which is not there yet: each makes one of its own, and writes it under "
            "its own name, where no `key_file` is set"
        )
    yield from (f"`{name}`: `{key}`: {_SETTINGS[key]}" for key in _PRIVATE_KEY if private_key.get(key))


def of_certificate(name: str, certificate: Mapping[str, Any]) -> Iterator[str]:
    """A note for each key of a certificate (or of its private key) that means nothing here."""
    for key in (*_PRIVATE_KEY, *_CERTIFICATE):
        if certificate.get(key):
            yield f"`{name}`: `{key}`: {_SETTINGS[key]}"
    records_of = certificate.get("tlsa_records")
    for zone, records in (records_of if isinstance(records_of, dict) else {}).items():
        yield (
            f"`{name}`: TLSA records in `{zone}` are not changed by acmectl here; those of keys that stay the same hold. "
            f"They were: {_shown(records)}"
        )


def _shown(records: Any) -> str:
    def one(record: Any) -> str:
        if not isinstance(record, dict):
            return f"_443._tcp.{record}"
        given = {"host": "@", "port": 443, "protocol": "tcp", "usage": "pkix-ee", "selector": "spki"} | record
        return f"_{given['port']}._{given['protocol']}.{given['host']} {given['usage']} {given['selector']}"

    return ", ".join(one(record) for record in (records if isinstance(records, list) else [records]))
