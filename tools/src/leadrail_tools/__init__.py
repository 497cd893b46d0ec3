"""Tools that keep the repository true to itself. Nothing here runs in production."""
