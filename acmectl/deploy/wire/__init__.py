"""Seen over the wire: whether a service really serves the certificate that was deployed to it.

A reload command that exits with 0 proves nothing: services keep what they have when they dislike the new files, run a process
that nobody reloaded, or read another file than everybody thinks. So we connect as a client does, and compare.
"""
