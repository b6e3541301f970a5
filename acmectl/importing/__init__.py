"""WHAT OTHER CLIENTS LEFT: their accounts and configurations, read for taking over. Pure reading: nothing here writes, or asks a CA.

Every client keeps the same two things, a key and the URL of its account, in files of its own; `accounts` finds them. `acmebot`, the
ancestor, has the same idea of a master and followers, so that its whole configuration can be turned into ours.
"""
