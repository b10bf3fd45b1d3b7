"""Optional integrations with other programs; the rest of the package works without them."""
