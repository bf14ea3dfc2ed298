"""Would every kernel pass that a backend may choose? They are emulated, see `normdeploy.kernels`."""
