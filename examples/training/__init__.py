"""What the training scripts beside this folder share: data, networks, descent, monitors, tests of significance, files.

Lives here: plain PyTorch. Every σ comes from meanfield. Not here: the experiments themselves (``train_*.py``).
"""
