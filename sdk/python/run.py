"""Runs the plugin of this folder: what the interpreter is started with."""

import importlib

import mta

mta.serve(lambda: importlib.import_module("plugin"))
