# SPDX-License-Identifier: Apache-2.0
"""Programs that go on when the module that began them has ended."""
