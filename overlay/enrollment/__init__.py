"""Who may come into the farm, and who no longer may."""
