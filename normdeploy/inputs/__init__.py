"""What a model wants to be given, and what people bring.

- declared: the inputs that a model declares, and the shapes that a user gives them.
- generated: random arrays that respect what is declared.
- npz: the arrays of an .npz file, a few rows at a time; nothing in the file is run.
- samples: batches for the model, of generated arrays or of a user's own.
"""
