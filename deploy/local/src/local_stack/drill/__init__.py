"""The restore drill: loses the database under traffic, restores it to an earlier instant, and judges what is left."""
