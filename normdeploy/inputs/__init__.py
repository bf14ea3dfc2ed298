"""What a model wants to be given, and what people bring: declared inputs, random ones, files of arrays."""
