"""A throw-away ACME CA on loopback, for rehearsal, the demo and the tests. It is no CA for anyone."""
