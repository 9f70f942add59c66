# SPDX-License-Identifier: Apache-2.0
"""Training runs, as the control node reports them."""
