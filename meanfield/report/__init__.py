"""The one-file HTML datasheet of an activation.

Lives here: templates and the code that fills them from results of the theory and from pictures.
Not here: any computation (meanfield.theory) and drawing (meanfield.plot).
"""
