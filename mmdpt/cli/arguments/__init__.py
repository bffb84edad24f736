"""The command lines, one module per command, with ``parse_args(argv)``.

They import nothing that takes long: ``--help`` and mistakes are answered before torch is
imported.
"""
