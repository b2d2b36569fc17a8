"""Results to text: one file per format, each a function of results only. Never imports torch."""
