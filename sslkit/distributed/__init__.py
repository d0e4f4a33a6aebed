"""Several processes that train as one: the only room that knows there may be more than one of them.

A rank is one of these processes; each prepares and projects its share of a batch, and sees the outputs of all. Every function
here does nothing, or gives back what it got, where there is a single process.
"""
