"""Dealing cases into train, val and test, so that no picture and no patient is on two sides."""
