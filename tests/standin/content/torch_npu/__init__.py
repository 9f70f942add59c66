# SPDX-License-Identifier: Apache-2.0
"""Stand-in for torch-npu 2.1.0.post3: asks CANN's libraries the way the real one does, through LD_LIBRARY_PATH."""

from __future__ import annotations

import torch

try:
    from torch_npu import npu
except OSError as error:
    raise ImportError(
        f"{error}. Please check that the cann package is installed. "
        "Please run 'source set_env.sh' in the CANN installation path."
    ) from error

__version__ = "2.1.0.post3+standin"

torch.npu = npu
