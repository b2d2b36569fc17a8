"""What changes a module for inference, and proves that it did no harm."""
