"""The decision core: events in, commands out. No I/O, no clock, no randomness, no thread.

A grid of n intervals is n independent *slots*. Each slot holds at most one possibly-live order: a
buy at its lower line, or a sell at its upper line. A completed order flips its slot, which is the
mirror order at the adjacent level. All of the grid's state follows from the events it was handed.
"""
