"""What the benchmarks share: processes, a server, rounds, verdicts and drawings."""
