"""Between arguments and bytes. ``codec`` has what a call needs of it."""
