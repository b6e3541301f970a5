"""How we speak ACME (RFC 8555): the only room that imports `acme` and `josepy`."""
