"""How operators act on what tensors mean: a family of operators a file, each with its table `RULES`."""
