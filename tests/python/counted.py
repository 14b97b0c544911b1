"""Runs pytest with an extension module that counts each reference, in a debug build of Python.

    SHMSEM_COUNTED=MODULE python3-dbg counted.py ARGUMENT…
"""

import importlib.machinery
import importlib.util
import os
import sys

import pytest

NAME = "shmsem._shmsem"


class Finder:
    """Leads to that module in place of the package's own."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != NAME:
            return None
        loader = importlib.machinery.ExtensionFileLoader(name, os.environ["SHMSEM_COUNTED"])
        return importlib.util.spec_from_loader(name, loader)


sys.meta_path.insert(0, Finder)
sys.exit(pytest.main(sys.argv[1:]))
