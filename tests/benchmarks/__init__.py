"""Accuracy and speed beside other ways to do the same work: ``python -m tests.benchmarks`` from the checkout.

Nothing here is timed in a plain test run: only names that start with `test_` are collected there.
"""
