"""`make bench`: leads a second, milliseconds, and what they cost, beside the floor of this machine."""
