"""How control of a name is proven to a CA: `base` first, then one module a way."""
