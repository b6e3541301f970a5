"""acmebot's configuration (version 2.17) turned into ours.

acmebot had the idea that acmectl follows: a master that keeps authorizations, and followers that issue from them. What it does is
read here as its own code reads it (`AcmeManager._load_config`, `_validate_config`, `_file_path`, `_zone_key`), defaults included.
"""

from acmectl.importing.acmebot.translating import translate

__all__ = ["translate"]
