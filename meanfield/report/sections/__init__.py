"""The sections of the datasheet, one module each, in the order of the page.

Lives here: for each section what to compute, what to show and what to say about it.
Not here: how it looks (the template and its style sheet).
"""
