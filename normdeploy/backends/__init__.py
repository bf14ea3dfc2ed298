"""Runtimes that execute a model, each in a process of its own."""
