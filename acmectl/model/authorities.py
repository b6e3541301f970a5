"""Certificate authorities by the names that people know them by, and what is special about one on this host."""

import ipaddress

# Name -> URL of the directory (RFC 8555 section 7.1.1).
KNOWN_DIRECTORIES = {
    "actalis": "https://acme-api.actalis.com/acme/directory",
    "google": "https://dv.acme-v02.api.pki.goog/directory",
    "google-test": "https://dv.acme-v02.test-api.pki.goog/directory",
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "sslcom": "https://acme.ssl.com/sslcom-dv-ecc",
    "sslcom-rsa": "https://acme.ssl.com/sslcom-dv-rsa",
    "zerossl": "https://acme.zerossl.com/v2/DV90",
}


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this host itself: an address of 127.0.0.0/8, ::1, or `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
