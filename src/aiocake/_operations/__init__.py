"""What a call is: operations, their parameters, and the arguments of a method."""
