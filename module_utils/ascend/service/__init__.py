# SPDX-License-Identifier: Apache-2.0
"""Programs that continue when the module that began them has ended."""
