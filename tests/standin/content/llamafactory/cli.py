# SPDX-License-Identifier: Apache-2.0
"""llamafactory-cli, as far as a role test asks it."""

from __future__ import annotations

import platform
import sys

from llamafactory import __version__


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command == "version":
        print(f"| Welcome to LLaMA Factory, version {__version__} |")
    elif command == "env":
        import torch
        import torch_npu

        print(f"- `llamafactory` version: {__version__}")
        print(f"- Python version: {platform.python_version()}")
        print(f"- PyTorch version: {torch.__version__} (NPU)")
        print(f"- NPU type: {torch_npu.npu.get_device_name(0)}")
    else:
        print("usage: llamafactory-cli version|env")
        sys.exit(command != "help")
