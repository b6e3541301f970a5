"""Zones, delegation by CNAME, dynamic update and propagation: everything that acmectl asks of, or tells, name servers.

The only room that imports dnspython. Its modules import it at their top, and are themselves imported late (dnspython
takes an eighth of a second); `endpoints`, `tsig` and `options` are the exceptions, because the configuration needs them.
"""
