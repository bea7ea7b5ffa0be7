"""The sandbox's version 1: accounting.asmx and get.asmx, in all their bindings."""
