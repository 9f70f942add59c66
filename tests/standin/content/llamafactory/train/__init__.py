# SPDX-License-Identifier: Apache-2.0
"""What `llamafactory-cli train` starts."""
