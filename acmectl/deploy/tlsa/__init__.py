"""TLSA records (DANE): which keys of this host the DNS speaks of, seen at every authoritative server and published by dynamic update.

A validating client refuses a service whose key the DNS does not speak of, so these records are part of how services get certificates.
"""
