"""One maintenance at a time: who may drain, who may be stopped, and the lease that says so."""
