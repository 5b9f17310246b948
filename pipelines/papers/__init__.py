"""What the four papers print and claim: their numbers, the arithmetic those break, and tests of their sentences."""
