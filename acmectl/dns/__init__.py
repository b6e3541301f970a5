"""Zones, delegation by CNAME, propagation and dynamic update: the only room that imports dnspython."""
