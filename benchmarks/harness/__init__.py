"""What the benchmarks share: how they measure, what they say of the machine, how they write it and show it.

On its own it needs torch, numpy and jaxtyping alone, so that a script can be carried to a machine with a GPU; only
`prepared` needs the stages.
"""
