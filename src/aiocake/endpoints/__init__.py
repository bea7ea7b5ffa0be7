"""The endpoints: Operation constants and the short methods that carry them out, side by side."""
