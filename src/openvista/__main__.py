"""``python -m openvista`` is the command ``openvista``; torchrun needs it."""

from openvista.cli import main

if __name__ == "__main__":
    main()
