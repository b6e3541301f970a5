"""acmectl: certificates for hosts that cannot prove control of their own names."""

__version__ = "0.1.0"
