"""A subpackage that shares its name with a public function, and answers calls as that function."""

from __future__ import annotations

import sys
import types
from typing import Any


class CallableModule(types.ModuleType):
    """A module that forwards a call to the function of its own last name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    @property
    def _function(self) -> Any:
        return self.__dict__[self.__name__.rpartition(".")[2]]

    @property
    def __signature__(self) -> Any:
        """What `inspect.signature`, and so every editor, shows: that of the function."""
        import inspect

        return inspect.signature(self._function)


def make_callable(module_name: str) -> None:
    """Let ``import meanfield as mf; mf.expectation(...)`` work beside ``meanfield.expectation.second_moment``.

    Importing a submodule binds the module, not the function of the same name, on its parent; so the module answers
    calls itself.
    """
    sys.modules[module_name].__class__ = CallableModule
