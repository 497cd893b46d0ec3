"""`make bench`: how many leads a second, how many milliseconds, and what they cost, beside the floor of this machine."""
