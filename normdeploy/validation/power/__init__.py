"""What is a pass worth? What the data and the outputs of a check can show.

- blindness: which outputs can't show an error of 1 % in every layer; part of every check. reasons: why.

layers tells what counts as one, walk runs a graph up to a layer and on with an error in it, result is what
becomes of it.
"""
