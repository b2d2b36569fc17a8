"""One run of a module without data, and the record of every operation in it."""
