"""How services get a certificate: targets, and the commands that make a service read it again."""
