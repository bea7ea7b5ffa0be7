"""XML of responses, parsed under bounds: piece by piece, row by row, or as a tree."""
