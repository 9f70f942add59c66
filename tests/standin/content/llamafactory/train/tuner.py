# SPDX-License-Identifier: Apache-2.0
"""As the real one does, it checks what it needs when it is imported, and cannot be had without that."""

from __future__ import annotations

from llamafactory.extras.misc import check_dependencies

check_dependencies()
