"""The answers, as plain frozen dataclasses. Nothing here imports torch."""
