"""The generator needs python-flint, which the tests don't: keep it out of collection."""

collect_ignore = ["generate.py", "jets.py", "one_input.py", "piecewise.py", "record.py", "two_inputs.py"]
