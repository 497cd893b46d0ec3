"""Holds a version of the scoring model against what became of the leads it would have scored."""
