"""Does a backend contradict itself? Judged by measured rounding, without asking what is right.

- equal-rows: a batch whose rows are the same gives the same answer for each.
- permuted-rows: rows that change places take their answers with them.
- batch-sizes: a row has the same answer alone, in a batch of two and in a larger one.
- shape-corners: at the smallest, the largest and odd sizes of what the model leaves open, the answer is the
  reference's. Only here the reference says what is right.
- repeated-runs: the same batch has the same answer again, after other values and after other shapes.
- extra-outputs: inner tensors as further outputs do not change the answer.

ask goes through the backends. subject finds out which of these the model has, questions what backends are
asked, examination asks one; rows and corners make the inputs, two_runs judges, finding gathers, result is
what becomes of it, text and page show it.
"""
