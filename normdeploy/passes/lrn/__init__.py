"""Local response normalization in graphs: what computes one, and how each target computes it best."""
