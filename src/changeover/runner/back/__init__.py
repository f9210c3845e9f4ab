"""The way back of a deployment that is red, and the words for what serves then."""
