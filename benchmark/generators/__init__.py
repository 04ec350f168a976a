"""Generators and control generators, one plug-in per file, named after the file.

Files that begin with an underscore are helpers. docs/add_a_generator.md describes the contract.
"""
