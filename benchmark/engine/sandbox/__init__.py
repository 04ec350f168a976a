"""Run the code of a plug-in from outside in a process that sees its inputs and nothing else of the run."""
