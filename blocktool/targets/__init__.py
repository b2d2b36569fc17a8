"""From a user's words to a module and its inputs.

:func:`blocktool.targets.resolve.resolve` takes what was written on the command line (a block's
name, a configuration file, an import path, a model of a zoo) and gives a
:class:`blocktool.targets.target.Target`; :func:`blocktool.targets.inputs.parse_input` does the
same for ``1x3x224x224``. Nothing is imported from here, so that a command that needs one kind of
target does not pay for the others.
"""
