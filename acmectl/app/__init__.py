"""The composition root: a configuration becomes engines that are ready to run. It decides nothing."""

from acmectl.app.host import LETS_ENCRYPT, Host, MissingKey, load, utc_now

__all__ = ["LETS_ENCRYPT", "Host", "MissingKey", "load", "utc_now"]
