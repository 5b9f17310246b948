"""The papers' tables by their numbers: ours, printed values, differences in standard errors, marks on what is wrong."""
