"""Generators and control generators: one file per plug-in, found by its name.

Files that begin with an underscore are helpers. docs/add_a_generator.md states the contract.
"""
