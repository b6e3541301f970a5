"""Every word that a person reads, and the JSON that programs read: no other module of the command line has prose."""
