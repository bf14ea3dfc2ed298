"""What a model wants to be given, and what people bring.

- declared: the inputs that a model declares, and the shapes that a user gives them.
- generated: random arrays that respect what is declared.
- npz: the arrays of an .npz file, a few rows at a time; nothing in the file is run.
- npy: the array of an .npy file. shards: files of arrays in a folder. folder: what is in a folder.
- images: images as a model takes them. labels: the classes of a folder's files.
- factory: what a user's function yields. preprocess: a user's function for each sample.
- user_code: loading and running a user's functions.
- pieces: what each of these gives. sources: which of them a user's data is.
- samples: batches for the model, of generated arrays or of a user's own.
"""
