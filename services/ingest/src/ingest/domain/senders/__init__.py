"""Every sender is one module: how it signs, how its payload maps, how it wants to be answered."""
