"""What is a pass worth? What the data and the outputs of a check can show.

- blindness: which outputs can't show an error of 1 % in every layer; part of every check. reasons: why.
- measure: the smallest error in each layer that would have been called wrong; search finds it.

layers tells what counts as one, walk runs a graph up to a layer and on with an error in it, judging judges
what comes out, result is what becomes of it, text and page show it.
"""
