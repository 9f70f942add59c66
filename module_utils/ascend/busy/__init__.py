# SPDX-License-Identifier: Apache-2.0
"""Whether jobs use the cards, including those that our own playbooks started a moment ago."""
