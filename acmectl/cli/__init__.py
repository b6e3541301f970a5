"""How people see it: the only room that imports click; every word to a person stands in `render`."""
