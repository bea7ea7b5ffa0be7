"""The sandbox's version 2: JSON."""
