"""What half precision would do to the normalization layers of a model."""
